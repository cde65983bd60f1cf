from django.db import migrations

SCHEMA = """
CREATE INDEX evals_judgement_backfill ON evals_judgement (backfill_id, state) WHERE backfill_id IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0008_figures")]
    operations = [migrations.RunSQL(SCHEMA, reverse_sql="DROP INDEX evals_judgement_backfill")]
