"""How long each kind of data is kept, and the removal of a project."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('projects', '0003_key_origins'),
    ]

    operations = [
        migrations.AddField(
            model_name='project',
            name='deletion_asked_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='project',
            name='deletion_asked_by',
            field=models.CharField(blank=True, max_length=254),
        ),
        migrations.AddField(
            model_name='project',
            name='deletion_due_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='project',
            name='score_days',
            field=models.PositiveIntegerField(default=365),
        ),
        migrations.AddField(
            model_name='project',
            name='text_days',
            field=models.PositiveIntegerField(default=30),
        ),
        # What was kept so far stays as long as it was promised.
        migrations.RunSQL(
            "UPDATE projects_project SET text_days = retention_days, score_days = greatest(score_days, retention_days)",
            migrations.RunSQL.noop,
        ),
    ]
