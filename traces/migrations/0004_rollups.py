from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("traces", "0003_feed")]
    operations: list[object] = []
