from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("traces", "0005_sessions")]
    operations: list[object] = []
