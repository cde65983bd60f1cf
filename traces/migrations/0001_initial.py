from pathlib import Path

from django.db import migrations

SCHEMA = Path(__file__).resolve().parent / "0001_tables.sql"
TABLES = [
    "traces_origin",
    "traces_span",
    "traces_payload",
    "traces_trace",
    "traces_span_log",
    "traces_metric_series",
    "traces_metric_point",
    "traces_ingest_batch",
    "traces_ingest_hour",
    "traces_ingest_reason_hour",
    "traces_ingest_refusal_hour",
]


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(
            SCHEMA.read_text(), reverse_sql="".join(f"DROP TABLE {table} CASCADE;" for table in reversed(TABLES))
        )
    ]
