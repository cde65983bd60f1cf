from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0015_thumbs.sql"
REVERSE = """
CREATE OR REPLACE FUNCTION evals_tell_feedback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO evals_feedback (project_id, score_id, told_at)
    SELECT NEW.project_id, NEW.score_id, clock_timestamp()
    WHERE EXISTS (
        SELECT 1 FROM evals_reviewqueue AS q
        WHERE q.project_id = NEW.project_id AND q.kind = 'rules' AND q.closed_at IS NULL
            AND q.config -> 'rules' ? 'thumbs_down'
            AND q.config ->> 'feedback' = NEW.name
    )
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0014_days")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE)]
