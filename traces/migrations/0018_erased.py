from pathlib import Path

from django.db import migrations

SQL = Path(__file__).with_suffix(".sql").read_text()


class Migration(migrations.Migration):
    dependencies = [("traces", "0017_meters")]

    operations = [migrations.RunSQL(SQL, "DROP TABLE traces_erased")]
