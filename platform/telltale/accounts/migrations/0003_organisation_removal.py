"""An organisation may be asked to be removed, and says so until it goes."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_second_factor'),
    ]

    operations = [
        migrations.AddField(
            model_name='organisation',
            name='deletion_asked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='organisation',
            name='deletion_asked_by',
            field=models.CharField(blank=True, default='', max_length=254),
        ),
        migrations.AddField(
            model_name='organisation',
            name='deletion_due_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
