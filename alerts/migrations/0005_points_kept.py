from django.db import migrations


class Migration(migrations.Migration):
    """What detectors took of windows is found by its age, to be forgotten."""

    dependencies = [("alerts", "0004_drift")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX alerts_point_held ON alerts_point (project_id, start_at) WHERE data IS NOT NULL;",
            reverse_sql="DROP INDEX alerts_point_held;",
        )
    ]
