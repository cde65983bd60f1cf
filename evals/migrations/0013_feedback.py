from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0013_feedback.sql"
REVERSE = """
DROP TRIGGER evals_score_feedback ON evals_score;
DROP FUNCTION evals_tell_feedback();
DROP TABLE evals_feedback;
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0012_retrieval")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
