from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0004_drift.sql"
TABLES = ["alerts_sample", "alerts_vector", "alerts_drift_due", "alerts_drift_hour"]


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_drift_rows")]
    operations = [
        migrations.RunSQL(SCHEMA.read_text(), reverse_sql="; ".join(f"DROP TABLE {name}" for name in TABLES))
    ]
