from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0002_points.sql"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE alerts_point;")]
