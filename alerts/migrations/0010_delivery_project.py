import django.db.models.deletion
from django.db import migrations, models


def project(**more):
    return models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='projects.project', **more)


class Migration(migrations.Migration):

    dependencies = [
        ('alerts', '0009_engine_state'),
        ('projects', '0003_key_origins'),
    ]

    operations = [
        migrations.AddField(model_name='delivery', name='project', field=project(null=True)),
        # A delivery is of the project of what it tells. In here, since the column may not be empty after this step.
        migrations.RunSQL(
            """
            UPDATE alerts_delivery AS d SET project_id = t.project_id
            FROM alerts_transition AS t WHERE t.id = d.transition_id;
            """,
            migrations.RunSQL.noop,
        ),
        migrations.AlterField(model_name='delivery', name='project', field=project()),
        migrations.RemoveIndex(model_name='delivery', name='delivery_of_channel'),
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(fields=['project', '-id'], name='delivery_newest'),
        ),
    ]
