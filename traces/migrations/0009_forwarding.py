from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SCHEMA = Path(__file__).resolve().parent / "0009_forwarding.sql"


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0001_initial"),
        ("traces", "0008_notes"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.RunSQL(SCHEMA.read_text(), reverse_sql="DROP TABLE traces_forward_queue CASCADE;"),
        migrations.CreateModel(
            name="ForwardTarget",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("lease_by", models.CharField(blank=True, default="", max_length=80)),
                ("lease_until", models.DateTimeField(blank=True, null=True)),
                ("attempts", models.PositiveIntegerField(default=0)),
                ("name", models.CharField(max_length=80)),
                ("url", models.CharField(max_length=2048)),
                ("sealed_headers", models.TextField(blank=True, default="")),
                ("header_hints", models.JSONField(blank=True, default=dict)),
                ("with_content", models.BooleanField(default=True)),
                ("paused_at", models.DateTimeField(blank=True, null=True)),
                ("queued_spans", models.BigIntegerField(default=0)),
                ("sent_spans", models.BigIntegerField(default=0)),
                ("refused_spans", models.BigIntegerField(default=0)),
                ("dropped", models.JSONField(blank=True, default=dict)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("failing_since", models.DateTimeField(blank=True, null=True)),
                ("next_at", models.DateTimeField(blank=True, null=True)),
                ("last_error", models.CharField(blank=True, default="", max_length=500)),
                ("last_error_at", models.DateTimeField(blank=True, null=True)),
                ("last_sent_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("created_by", models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+", to=settings.AUTH_USER_MODEL)),
                ("project", models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="+", to="projects.project")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("project", "name"), name="forward_target_name")],
            },
        ),
    ]
