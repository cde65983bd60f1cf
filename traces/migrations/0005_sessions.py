from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("traces", "0004_rollups")]
    operations: list[object] = []
