from django.db import migrations


class Migration(migrations.Migration):
    """Scores of programs that came before their targets, until these tell when they began."""

    dependencies = [("evals", "0006_age")]
    operations = [
        migrations.RunSQL(
            "CREATE INDEX evals_score_undated ON evals_score (score_id) WHERE started_at = made_at AND source = 3",
            reverse_sql="DROP INDEX evals_score_undated",
        )
    ]
