from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0017_meters.sql"
REVERSE = "DROP TABLE traces_meter; ALTER TABLE traces_ingest_batch DROP COLUMN calls;"


class Migration(migrations.Migration):
    dependencies = [("traces", "0016_change_version")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
