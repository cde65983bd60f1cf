from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0003_calibration.sql"


class Migration(migrations.Migration):
    dependencies = [("evals", "0002_tables")]
    operations = [
        migrations.RunSQL(
            SCHEMA.read_text(), reverse_sql="DROP TABLE evals_calibration_mark; DROP INDEX evals_score_people"
        )
    ]
