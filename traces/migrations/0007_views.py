from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("traces", "0006_search")]
    operations: list[object] = []
