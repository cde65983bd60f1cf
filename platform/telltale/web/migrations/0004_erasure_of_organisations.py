"""A receipt may be of an organisation."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('web', '0003_archives'),
    ]

    operations = [
        migrations.AlterField(
            model_name='erasure',
            name='kind',
            field=models.CharField(max_length=12),
        ),
    ]
