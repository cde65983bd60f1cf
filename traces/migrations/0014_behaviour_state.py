from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0014_behaviour_state.sql"


class Migration(migrations.Migration):
    dependencies = [("traces", "0013_signal_vote")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE traces_behaviour_state;")]
