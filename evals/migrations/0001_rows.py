from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0001_rows.sql"
TABLES = [
    "evals_candidate",
    "evals_decision",
    "evals_decision_hour",
    "evals_judgement",
    "evals_judgement_hour",
    "evals_score",
    "evals_score_hour",
    "evals_document_score",
]


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(SCHEMA.read_text(), reverse_sql="; ".join(f"DROP TABLE {name} CASCADE" for name in TABLES))
    ]
