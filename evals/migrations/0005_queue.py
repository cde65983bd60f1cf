from pathlib import Path

from django.db import migrations, models

SCHEMA = Path(__file__).resolve().parent / "0005_queue.sql"
REVERSE = """
DROP TABLE evals_call_pace;
DROP INDEX evals_judgement_running;
DROP INDEX evals_judgement_due;
CREATE INDEX evals_judgement_open ON evals_judgement (next_at) WHERE state IN ('pending', 'running');
ALTER TABLE evals_judgement
    DROP COLUMN lost, DROP COLUMN failures, DROP COLUMN unusable, DROP COLUMN reserved_pico, DROP COLUMN reserved_day;
"""


class Migration(migrations.Migration):
    dependencies = [("evals", "0004_flagged")]
    operations = [
        migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE),
        migrations.AddField("spendday", "lost_calls", models.BigIntegerField(default=0)),
        migrations.AddField("spendday", "lost_pico", models.BigIntegerField(default=0)),
    ]
