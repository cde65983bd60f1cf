from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0008_notes.sql"


class Migration(migrations.Migration):
    dependencies = [("traces", "0007_views")]
    operations = [
        migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE traces_comment CASCADE; DROP TABLE traces_label CASCADE;")
    ]
