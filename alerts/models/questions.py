"""The few questions a team asks, the monitors that answer them, and what each monitor was worth."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from telltale.lib.bound import Owned

PROJECT = "projects.Project"
USER = "accounts.User"


class QuestionSettings(Owned):
    """What incidents and pages are worth to a project. No row: the defaults of `alerts.questions.settings`."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    worth = models.JSONField(default=dict, blank=True)  # {"0": 100.0, ...}: of a real incident found, by severity
    page_cost = models.FloatField(null=True, blank=True)  # of one false page, in the same unit
    application = models.CharField(max_length=20, blank=True, default="")  # the preset chosen
    changed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"question settings of {self.project_id}"


class Question(Owned):
    """A question in the team's words, and what it would do on a bad answer."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    text = models.CharField(max_length=200)
    pillar = models.CharField(max_length=8)  # quality, cost, latency, safety, users
    decision = models.CharField(max_length=400, blank=True, default="")
    position = models.PositiveSmallIntegerField(default=0)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["project", "position"], name="question_order")]

    def __str__(self) -> str:
        return self.text


class QuestionMonitor(Owned):
    """A monitor that answers a question; the first is the one the overview draws."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="monitors")
    monitor = models.ForeignKey("alerts.Monitor", on_delete=models.CASCADE, related_name="questions")
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["question", "monitor"], name="question_monitor_once")]

    def __str__(self) -> str:
        return f"{self.monitor_id} for {self.question_id}"


class ChartView(Owned):
    """How often people looked at a monitor on a day. No person is named."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    monitor = models.ForeignKey("alerts.Monitor", on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    views = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["monitor", "day"], name="chart_view_day")]

    def __str__(self) -> str:
        return f"{self.monitor_id} on {self.day}"


class MetricReport(Owned):
    """What each monitor earned in the last 90 days, worked out in the night or when somebody asks."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, default="done")  # waiting, done, failed
    body = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=400, blank=True, default="")
    asked_at = models.DateTimeField()
    made_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"metric report of {self.project_id}"


class Proposal(Owned):
    """That a monitor be retired or merged, with the reasons; a person accepts or refuses it."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    monitor = models.ForeignKey("alerts.Monitor", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=8)  # retire, merge
    into = models.ForeignKey("alerts.Monitor", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    reasons = models.JSONField(default=list)
    evidence = models.JSONField(default=dict)
    state = models.CharField(max_length=10, default="open")  # open, accepted, refused, undone, gone
    note = models.CharField(max_length=400, blank=True, default="")
    made_at = models.DateTimeField()
    decided_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["monitor"], condition=Q(state="open"), name="proposal_one"),
        ]
        indexes = [models.Index(fields=["project", "-made_at"], name="proposal_newest")]

    def __str__(self) -> str:
        return f"{self.kind} {self.monitor_id}"
