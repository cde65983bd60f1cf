from pathlib import Path

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

SCHEMA = Path(__file__).resolve().parent / "0007_views.sql"
REVERSE = "DROP INDEX traces_trace_models; DROP INDEX traces_span_started; DROP INDEX traces_span_metadata;"


class Migration(migrations.Migration):
    dependencies = [
        ("projects", "0001_initial"),
        ("traces", "0006_search"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.RunSQL(SCHEMA.read_text(), reverse_sql=REVERSE),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("page", models.CharField(default="traces", max_length=20)),
                ("name", models.CharField(max_length=80)),
                ("query", models.TextField(blank=True)),
                ("is_shared", models.BooleanField(default=False)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="projects.project"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("is_shared", True)),
                        fields=("project", "page", "name"),
                        name="view_shared_name",
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_shared", False)),
                        fields=("project", "page", "owner", "name"),
                        name="view_own_name",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="DefaultView",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("page", models.CharField(default="traces", max_length=20)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="projects.project"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "view",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="traces.savedview"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("project", "user", "page"), name="view_default_once"),
                ],
            },
        ),
    ]
