from django.db import migrations

FORWARD = """
ALTER TABLE evals_score_hour ADD COLUMN stratum text NOT NULL DEFAULT '';
ALTER TABLE evals_score_hour DROP CONSTRAINT evals_score_hour_pkey;
ALTER TABLE evals_score_hour ADD PRIMARY KEY (
    project_id, judge_version_id, plan_id, name, hour, feature, model, prompt_version, stratum
);
"""
REVERSE = """
DELETE FROM evals_score_hour;
ALTER TABLE evals_score_hour DROP COLUMN stratum;
ALTER TABLE evals_score_hour ADD PRIMARY KEY (
    project_id, judge_version_id, plan_id, name, hour, feature, model, prompt_version
);
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0009_backfills")]
    operations = [migrations.RunSQL(FORWARD, reverse_sql=REVERSE)]
