from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0004_rollups.sql"
TABLES = "scope rollup rollup_reason user_period ledger rollup_state rollup_aside"


class Migration(migrations.Migration):
    dependencies = [("traces", "0003_feed")]
    operations = [
        migrations.RunSQL(
            SCHEMA.read_text(),
            reverse_sql="".join(f"DROP TABLE traces_{name} CASCADE;" for name in TABLES.split()),
        )
    ]
