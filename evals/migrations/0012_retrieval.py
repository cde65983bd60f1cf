from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0012_retrieval.sql"
REVERSE = """
DROP TABLE evals_retrieval;
CREATE INDEX evals_document_score_age ON evals_document_score (project_id, feature, started_at);
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0011_restrict")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
