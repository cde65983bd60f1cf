"""What pages of several rooms keep of their own: who took an item of the inbox, and who put one aside."""

from __future__ import annotations

from django.db import models


class InboxMark(models.Model):
    """What people said of an item of the inbox that has no owner and no end of its own: taken by, put aside by.

    `ref` names the item with all that would make it another one: a judge's calibration that fails anew is a new item.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12)
    ref = models.CharField(max_length=100)
    assignee = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    assigned_at = models.DateTimeField(null=True, blank=True)
    dismissed_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    dismissed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "ref"], name="inbox_mark_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref}"
