"""The audit log: who did what, when, to what."""

from __future__ import annotations

from django.db import models


class AuditEntry(models.Model):
    """One act. Written by `telltale.audit.log.record`; never changed, never deleted by the application."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.CharField(max_length=254)
    actor_user_id = models.BigIntegerField(null=True)
    organisation_id = models.BigIntegerField(null=True)
    project_id = models.BigIntegerField(null=True)
    action = models.CharField(max_length=64)
    target = models.CharField(max_length=254, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True)
    outcome = models.CharField(max_length=16, default="done")

    class Meta:
        indexes = [
            models.Index(fields=["project_id", "-at"], name="audit_project_at"),
            models.Index(fields=["organisation_id", "-at"], name="audit_organisation_at"),
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor} {self.action} {self.target}"
