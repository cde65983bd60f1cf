from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("evals", "0007_undated")]
    operations = [
        migrations.AddField("experiment", "figures", models.JSONField(blank=True, default=list)),
        migrations.RunSQL(
            "CREATE INDEX evals_document_score_window ON evals_document_score (project_id, started_at);",
            reverse_sql="DROP INDEX evals_document_score_window;",
        ),
    ]
