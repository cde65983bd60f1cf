from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0014_days.sql"
REVERSE = """
DROP TRIGGER evals_score_hour_new ON evals_score_hour;
DROP TRIGGER evals_score_hour_changed ON evals_score_hour;
DROP TRIGGER evals_decision_hour_new ON evals_decision_hour;
DROP TRIGGER evals_decision_hour_changed ON evals_decision_hour;
DROP FUNCTION evals_tell_stale();
DROP INDEX evals_score_hour_when;
DROP INDEX evals_decision_hour_when;
DROP TABLE evals_day_built, evals_day_stale, evals_score_day, evals_decision_day;
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0013_feedback")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
