from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0006_search.sql"


class Migration(migrations.Migration):
    dependencies = [("traces", "0005_sessions")]
    operations = [
        migrations.RunSQL(
            SCHEMA.read_text(),
            reverse_sql="DROP TABLE traces_search_state, traces_search_doc, traces_search_segment, traces_search_block;",
        )
    ]
