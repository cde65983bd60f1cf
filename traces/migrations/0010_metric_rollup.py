from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0010_metric_rollup.sql"


class Migration(migrations.Migration):
    dependencies = [("traces", "0009_forwarding")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE traces_metric_rollup CASCADE;")]
