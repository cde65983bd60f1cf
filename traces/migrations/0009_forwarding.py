from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("traces", "0008_notes")]
    operations: list[object] = []
