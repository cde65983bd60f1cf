from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("alerts", "0010_delivery_project")]
    operations = [
        migrations.RunSQL(
            """
            -- Documents that retrieval found for the trace; NULL: it told of none, or was sampled before they counted.
            ALTER TABLE alerts_sample ADD COLUMN passages smallint;
            """,
            reverse_sql="ALTER TABLE alerts_sample DROP COLUMN passages;",
        )
    ]
