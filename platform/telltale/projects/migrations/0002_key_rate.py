from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("projects", "0001_initial")]
    operations = [
        migrations.AddField(
            model_name="apikey",
            name="spans_a_second",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
    ]
