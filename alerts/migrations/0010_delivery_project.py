import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0009_engine_state'),
        ('projects', '0003_key_origins'),
    ]

    operations = [
        # No delivery was made before this: the default is never used.
        migrations.AddField(
            model_name='delivery',
            name='project',
            field=models.ForeignKey(default=0, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='projects.project'),
            preserve_default=False,
        ),
        migrations.RemoveIndex(model_name='delivery', name='delivery_of_channel'),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['project', '-id'], name='delivery_newest'),
        ),
    ]
