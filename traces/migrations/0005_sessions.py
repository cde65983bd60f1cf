from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0005_sessions.sql"


class Migration(migrations.Migration):
    dependencies = [("traces", "0004_rollups")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE traces_session CASCADE;")]
