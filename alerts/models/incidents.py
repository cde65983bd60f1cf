"""Incidents: alarms of one trouble, and what people did about it in five steps."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from telltale.lib.bound import Owned

PROJECT = "projects.Project"
USER = "accounts.User"
KEY = "projects.ApiKey"


class IncidentSettings(Owned):
    """A project's timers and gates. No row: the defaults of `alerts.incidents.settings`."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    # {"0": {"triage": 30, "scope": 60, "isolate": 120, ...}, ...}: minutes by severity; what is absent is the default.
    timers = models.JSONField(default=dict, blank=True)
    # Failing cases that a dataset must hold before an incident closes.
    cases_least = models.PositiveSmallIntegerField(default=5)
    # Hours within limits after the response until the series counts as back.
    recovery_hours = models.FloatField(default=6.0)
    # Days in which the same monitor's next alarm opens the incident again instead of a new one.
    reopen_days = models.PositiveSmallIntegerField(default=7)
    changed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"incident settings of {self.project_id}"


class Incident(Owned):
    """One trouble from its first alarm to what was learnt. `version` moves with every change of the row."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveIntegerField()  # INC-42 is 42 of its project
    title = models.CharField(max_length=200)
    severity = models.PositiveSmallIntegerField()  # 0..3, now
    state = models.CharField(max_length=12, default="open")  # open, acknowledged, resolved, merged
    step = models.CharField(max_length=8, default="triage")  # triage, scope, isolate, respond, learn
    round = models.PositiveIntegerField(default=1)  # 1 + how often it was opened again
    origin = models.CharField(max_length=8, default="alarm")  # alarm, probe, review, budget, person
    # What the members have in common: {"feature": "returns"}; {} the whole project.
    scope = models.JSONField(default=dict, blank=True)
    opened_at = models.DateTimeField()
    began_at = models.DateTimeField()  # start of the first window out of limits
    last_moved_at = models.DateTimeField()  # the last alarm that joined, or window out of limits
    quiet_since = models.DateTimeField(null=True, blank=True)  # every member is over since; NULL: it goes on
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    assignee = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    muted_until = models.DateTimeField(null=True, blank=True)
    muted_until_worse = models.BooleanField(default=False)
    verdict = models.CharField(max_length=8, blank=True, default="")  # real, false ("" nobody decided)
    # What people wrote and chose on the way; drafts are kept in IncidentStep.
    scope_note = models.CharField(max_length=2000, blank=True, default="")
    cause_change = models.BigIntegerField(null=True, blank=True)  # id of a change of the log
    cause_note = models.CharField(max_length=2000, blank=True, default="")
    dataset = models.ForeignKey("evals.Dataset", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    experiment = models.ForeignKey(
        "evals.Experiment", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    override_reason = models.CharField(max_length=2000, blank=True, default="")
    merged_into = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    split_from = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    version = models.BigIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="incident_number")]
        indexes = [
            models.Index(
                fields=["project", "severity"], condition=Q(state__in=["open", "acknowledged"]), name="incident_going"
            ),
            models.Index(fields=["project", "-opened_at", "-id"], name="incident_newest"),
        ]

    def __str__(self) -> str:
        return f"INC-{self.number}"


class IncidentMember(Owned):
    """What belongs to an incident: alarms of monitors and probes, flagged reviews, budgets. Each to one at most."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="members")
    kind = models.CharField(max_length=8)  # alarm, probe, review, budget
    ref = models.BigIntegerField()  # id of the alarm, probe alarm, review item, budget stand
    monitor = models.ForeignKey("alerts.Monitor", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    severity = models.PositiveSmallIntegerField()
    is_page = models.BooleanField()  # it may page; notices join as evidence
    # What it said when it joined: {"name", "metric", "unit", "direction", "rule", "value", "before", "scope", "path"}.
    facts = models.JSONField(default=dict, blank=True)
    joined_at = models.DateTimeField()
    began_at = models.DateTimeField()
    over_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "ref"], name="incident_member_once")]
        indexes = [
            models.Index(fields=["incident", "began_at"], name="incident_members"),
            models.Index(fields=["incident"], condition=Q(over_at=None), name="incident_members_going"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.ref} of {self.incident_id}"


class IncidentStep(Owned):
    """One step in one round: when it began, until when it should be done, who finished it, what it came to."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="steps")
    round = models.PositiveIntegerField()
    step = models.CharField(max_length=8)
    started_at = models.DateTimeField()
    due_at = models.DateTimeField(null=True, blank=True)  # NULL: no timer
    finished_at = models.DateTimeField(null=True, blank=True)
    finished_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    overdue_told_at = models.DateTimeField(null=True, blank=True)
    draft = models.JSONField(default=dict, blank=True)  # what was written and not yet finished
    outcome = models.JSONField(default=dict, blank=True)  # what it came to, as its page and the summary show it

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "round", "step"], name="incident_step_once")]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(finished_at=None, overdue_told_at=None), name="incident_step_due"
            )
        ]

    def __str__(self) -> str:
        return f"{self.step} of {self.incident_id}"


class IncidentEvent(Owned):
    """One line of the timeline. `key` makes what machines add exactly once; people's lines have none."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    kind = models.CharField(max_length=24)  # alerts.incidents.timeline.KINDS
    user = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.CharField(max_length=120, blank=True, default="")  # a key's name where no person acted
    facts = models.JSONField(default=dict, blank=True)
    key = models.CharField(max_length=100, null=True, blank=True)  # noqa: DJ001 - NULL: not unique

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "key"], name="incident_event_once")]
        indexes = [models.Index(fields=["incident", "at", "id"], name="incident_events")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.incident_id}"


class IncidentWatcher(Owned):
    """A person who is told of an incident whatever the routes say."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="watchers")
    user = models.ForeignKey(USER, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "user"], name="incident_watcher_once")]

    def __str__(self) -> str:
        return f"{self.user_id} watches {self.incident_id}"


class TriageItem(Owned):
    """One response dealt to a person, flagged or control: which of the two is not shown before the verdict."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="triage")
    round = models.PositiveIntegerField()
    position = models.PositiveSmallIntegerField()
    origin = models.CharField(max_length=8)  # flagged, control, before (flagged ones of the baseline's windows)
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField(null=True, blank=True)
    pi = models.FloatField()  # chance to be drawn
    verdict = models.CharField(max_length=8, blank=True, default="")  # real, false, unsure
    # Who said it: a person, or a key. Neither: it was removed since, and nobody may change what it said.
    user = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    by_key = models.ForeignKey(KEY, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=1000, blank=True, default="")
    leased_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["incident", "round", "position"], name="triage_position"),
            models.UniqueConstraint(
                fields=["incident", "round", "trace_id", "span_id"], nulls_distinct=False, name="triage_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.position} of {self.incident_id}"


class ScopeReport(Owned):
    """What scope or isolate computed at one moment, kept so that everybody sees the same."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="reports")
    round = models.PositiveIntegerField()
    kind = models.CharField(max_length=8)  # scope, isolate, recovery
    state = models.CharField(max_length=8, default="waiting")  # waiting, done, failed
    body = models.JSONField(default=dict, blank=True)
    error = models.CharField(max_length=400, blank=True, default="")
    asked_at = models.DateTimeField()
    made_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "round", "kind"], name="incident_report_one")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.incident_id}"


class ResponseMade(Owned):
    """What people did: a rollback, a hotfix, something else; with a link. Telltale records, it deploys nothing."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="responses")
    round = models.PositiveIntegerField()
    kind = models.CharField(max_length=12)  # rollback, hotfix, config, provider, none, other
    at = models.DateTimeField()  # when it took effect
    note = models.CharField(max_length=2000, blank=True, default="")
    url = models.CharField(max_length=2000, blank=True, default="")
    change = models.BigIntegerField(null=True, blank=True)  # the change of the log that says the same
    user = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    recorded_at = models.DateTimeField()
    recovered_at = models.DateTimeField(null=True, blank=True)  # the first moment the rule said "back"

    def __str__(self) -> str:
        return f"{self.kind} for {self.incident_id}"


class IncidentCase(Owned):
    """A failing case of an incident that went into a dataset."""

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="cases")
    trace_id = models.UUIDField()
    span_id = models.BigIntegerField(null=True, blank=True)
    dataset = models.ForeignKey("evals.Dataset", on_delete=models.CASCADE, related_name="+")
    item_key = models.CharField(max_length=100)
    added_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    added_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["incident", "dataset", "item_key"], name="incident_case_once")]

    def __str__(self) -> str:
        return f"{self.item_key} of {self.incident_id}"
