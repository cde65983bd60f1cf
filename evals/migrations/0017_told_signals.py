from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0017_told_signals.sql"


class Migration(migrations.Migration):
    dependencies = [("evals", "0016_survivorship"), ("traces", "0013_signal_vote")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE evals_told_signal;")]
