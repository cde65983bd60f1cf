from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0003_feed.sql"


class Migration(migrations.Migration):
    dependencies = [("traces", "0002_prices")]
    operations = [migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE traces_feed CASCADE;")]
