from django.db import migrations

CREATE = """
CREATE INDEX evals_judgement_age ON evals_judgement (project_id, started_at);
CREATE INDEX evals_score_age ON evals_score (project_id, started_at);
"""
REVERSE = "DROP INDEX evals_judgement_age; DROP INDEX evals_score_age;"


class Migration(migrations.Migration):
    dependencies = [("evals", "0005_queue")]
    operations = [migrations.RunSQL(CREATE, reverse_sql=REVERSE)]
