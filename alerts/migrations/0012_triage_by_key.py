import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0011_passages'),
        ('projects', '0004_kept_days_and_deletion'),
    ]

    operations = [
        migrations.AddField(
            model_name='triageitem',
            name='by_key',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='projects.apikey'),
        ),
    ]
