from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0004_flagged.sql"
REVERSE = """
DROP INDEX evals_review_reviewer;
DROP TRIGGER evals_judgement_flagged ON evals_judgement;
DROP FUNCTION evals_tell_flagged();
DROP TABLE evals_flagged;
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0003_calibration")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
