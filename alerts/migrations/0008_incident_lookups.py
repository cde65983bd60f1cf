from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0007_cost_budgets"),
        ("projects", "0003_key_origins"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="incidentmember",
            name="facts",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(fields=["found_at"], name="alerts_alarm_found"),
        ),
        migrations.AddIndex(
            model_name="incidentmember",
            index=models.Index(
                condition=models.Q(("over_at", None)), fields=["incident"], name="incident_members_going"
            ),
        ),
    ]
