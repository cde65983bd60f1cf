"""Cost budgets: what a project, feature or user may spend in a day or month, and what to do when it is spent."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from telltale.lib.bound import Owned

PROJECT = "projects.Project"
USER = "accounts.User"


class CostBudget(Owned):
    """An allowance. `subject` "": of the whole project, or of each feature or user on its own."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=120)
    of = models.CharField(max_length=8)  # project, feature, user
    subject = models.CharField(max_length=200, blank=True, default="")
    period = models.CharField(max_length=6, default="month")  # day, month (in the project's zone)
    limit_pico = models.DecimalField(max_digits=30, decimal_places=0)
    # Shares of the limit that people are told of: [0.5, 0.8, 1.0].
    tell_at = models.JSONField(default=list, blank=True)
    # [{"at": 0.8, "do": "cheaper_model", "with": "gpt-4o-mini"}, ...]: warn, shorter_context, cheaper_model,
    # cached_answer, refuse.
    policy = models.JSONField(default=list, blank=True)
    severity = models.PositiveSmallIntegerField(default=2)
    is_on = models.BooleanField(default=True)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)  # moves with every change by people
    read_at = models.DateTimeField(null=True, blank=True)  # roll-ups were last added up for it
    forecast_at = models.DateTimeField(null=True, blank=True)  # its stands were last forecast
    told_at = models.DateTimeField(null=True, blank=True)  # people were last told of its users

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at__isnull=True), name="cost_budget_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class BudgetStand(Owned):
    """What one subject of a budget spent in one period, as last added up, and which shares were told of."""

    budget = models.ForeignKey(CostBudget, on_delete=models.CASCADE, related_name="stands")
    subject = models.CharField(max_length=200, blank=True, default="")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    spent_pico = models.DecimalField(max_digits=30, decimal_places=0, default=0)
    n = models.BigIntegerField(default=0)  # requests
    unpriced = models.BigIntegerField(default=0)  # calls whose cost nobody knows: the sum is "at least"
    upper_bound = models.BigIntegerField(default=0)  # calls whose cost is at most what was added
    told_at_share = models.FloatField(default=0.0)  # the highest share told of
    over_at = models.DateTimeField(null=True, blank=True)
    read_at = models.DateTimeField()
    # What the period will have cost at its end, with its 80 % interval; NULL: too little data, or not looked at.
    forecast_pico = models.DecimalField(max_digits=30, decimal_places=0, null=True, blank=True)
    forecast_low_pico = models.DecimalField(max_digits=30, decimal_places=0, null=True, blank=True)
    forecast_high_pico = models.DecimalField(max_digits=30, decimal_places=0, null=True, blank=True)
    forecast_told_at = models.DateTimeField(null=True, blank=True)  # people know that it will not last

    class Meta:
        constraints = [models.UniqueConstraint(fields=["budget", "subject", "start_at"], name="budget_stand_once")]
        indexes = [models.Index(fields=["budget", "-start_at", "-spent_pico"], name="budget_stand_most")]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.subject} {self.start_at:%Y-%m-%d}"
