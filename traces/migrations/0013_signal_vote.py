from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0013_signal_vote.sql"
REVERSE = "DROP INDEX traces_signal_awaited; ALTER TABLE traces_signal DROP COLUMN vote;"


class Migration(migrations.Migration):
    dependencies = [("traces", "0012_signals")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
