"""An organisation may ask for a second factor of everybody."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='organisation',
            name='requires_second_factor',
            field=models.BooleanField(default=False),
        ),
    ]
