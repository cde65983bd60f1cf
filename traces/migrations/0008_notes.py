from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("traces", "0007_views")]
    operations: list[object] = []
