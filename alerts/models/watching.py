"""What is watched, by which baseline, and what was found; and how drift is sampled and reported."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from telltale.lib.bound import Owned

PROJECT = "projects.Project"
USER = "accounts.User"


class Budget(Owned):
    """The one knob of a project: false pages a week for all its monitors together. No row: the defaults."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    pages_a_week = models.FloatField(default=1.0)
    # Days (ISO, in the project's zone) that are no example of normal: baselines and seasons leave them out.
    marked_days = models.JSONField(default=list, blank=True)
    # Requests a minute a model or service can bear, as people entered them: {"model:gpt-4o": 600.0}.
    capacity = models.JSONField(default=dict, blank=True)
    changed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"alert budget of {self.project_id}"


class Monitor(Owned):
    """A watched series with its settings and where its chart stands. State moves by UPDATE ... WHERE version = seen."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=120)
    # alerts.monitors.definition.Definition as JSON; `revision` counts its changes, `chart_no` those of what is charted.
    definition = models.JSONField()
    revision = models.PositiveIntegerField(default=1)
    chart_no = models.PositiveIntegerField(default=1)
    # Copies out of the definition, to list and to share the budget by.
    metric = models.CharField(max_length=60)
    method = models.CharField(max_length=20)
    severity = models.PositiveSmallIntegerField(default=2)  # 0..3
    is_paging = models.BooleanField(default=True)  # the tier: page or notice
    weight = models.FloatField(default=1.0)
    updates_a_week = models.FloatField()
    arl0 = models.FloatField()  # points until a false alarm, as the budget gives it now
    is_on = models.BooleanField(default=True)
    muted_until = models.DateTimeField(null=True, blank=True)
    # Where the chart stands: alerts.monitors.states.Standing, its words and since when.
    standing = models.CharField(max_length=20, default="learning")
    standing_words = models.CharField(max_length=400, blank=True, default="")
    standing_since = models.DateTimeField(auto_now_add=True)
    # alerts.charting.Chart as JSON: everything the next point needs. Advanced with the points in one transaction.
    chart = models.JSONField(default=dict, blank=True)
    next_start = models.DateTimeField()  # start of the next window to decide
    decided_to = models.DateTimeField(null=True, blank=True)  # end of the last window decided
    due_at = models.DateTimeField()  # when to look again
    leased_until = models.DateTimeField(null=True, blank=True)
    version = models.BigIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=400, blank=True, default="")
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at__isnull=True), name="monitor_name"
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=Q(archived_at__isnull=True, is_on=True), name="alerts_monitor_due"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Baseline(Owned):
    """A frozen reference with its limits. Never changed but for who approved it and until when it held."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="baselines")
    chart_no = models.PositiveIntegerField()
    state = models.CharField(max_length=12, default="in_force")  # proposed, in_force, replaced, refused
    kind = models.CharField(max_length=20)
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    n = models.BigIntegerField()
    windows = models.PositiveIntegerField()
    arl0 = models.FloatField()
    learned = models.JSONField(default=dict)  # alerts.detectors.base.Baseline as JSON
    excluded = models.JSONField(default=list, blank=True)  # starts of the windows that phase I left out
    # Limits made anew for another run length from the same reference.
    limits_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    reason = models.CharField(max_length=400, blank=True, default="")
    made_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    approved_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    in_force_from = models.DateTimeField(null=True, blank=True)  # start of the first window judged by it
    in_force_to = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["monitor", "created_at"], name="alerts_baseline_of")]

    def __str__(self) -> str:
        return f"baseline {self.pk} of {self.monitor_id}"


class Alarm(Owned):
    """A detector said "out of control". One row from the first crossing until it ended or a person closed it."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    monitor = models.ForeignKey(Monitor, on_delete=models.CASCADE, related_name="alarms")
    baseline = models.ForeignKey(Baseline, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    chart_no = models.PositiveIntegerField()
    window_start = models.DateTimeField()  # the window that crossed
    window_end = models.DateTimeField()
    direction = models.CharField(max_length=4)  # up, down
    rule = models.CharField(max_length=60)
    statistic = models.FloatField(null=True, blank=True)
    limit = models.FloatField(null=True, blank=True)
    value = models.FloatField(null=True, blank=True)
    severity = models.PositiveSmallIntegerField()
    # Whether it may page: not a notice, not muted, not from before its monitor was made.
    is_page = models.BooleanField()
    state = models.CharField(max_length=14, default="open")  # open, acknowledged, ended, closed
    verdict = models.CharField(max_length=14, blank=True, default="")  # real, false, accepted ("" nobody said)
    note = models.CharField(max_length=2000, blank=True, default="")
    found_at = models.DateTimeField()  # when the engine decided the window
    acknowledged_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # end of the window from which it was quiet again
    closed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    closed_at = models.DateTimeField(null=True, blank=True)
    # What stood beside it when it came: change point, last change before, members that moved.
    evidence = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["monitor", "chart_no", "window_start"], name="alarm_once"),
        ]
        indexes = [
            models.Index(fields=["project", "-window_start", "-id"], name="alerts_alarm_newest"),
            models.Index(fields=["monitor", "-window_start"], name="alerts_alarm_of"),
            # What incidents have not taken yet is among the newest found.
            models.Index(fields=["found_at"], name="alerts_alarm_found"),
        ]

    def __str__(self) -> str:
        return f"alarm {self.pk} of {self.monitor_id}"


class DriftSettings(Owned):
    """How a project's inputs and outputs are sampled and turned into vectors. No row: the defaults."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    is_on = models.BooleanField(default=True)
    encoder = models.CharField(max_length=12, default="lexical")  # lexical, sender, endpoint, minilm
    connection = models.ForeignKey(
        "evals.Connection", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    model = models.CharField(max_length=200, blank=True, default="")
    # Traces a day that are sampled at most; the share follows from the traffic before.
    cap_a_day = models.PositiveIntegerField(default=2000)
    # Pico-dollars and calls a day for embeddings alone; the project's budget for judging holds as well. NULL: no limit.
    budget_pico_day = models.BigIntegerField(null=True, blank=True, default=1_000_000_000_000)
    budget_calls_day = models.BigIntegerField(null=True, blank=True)
    # Keys of metadata whose values are compared as categories.
    fields = models.JSONField(default=list, blank=True)
    # Why nothing is embedded just now, in words; "" where all is well.
    trouble = models.CharField(max_length=300, blank=True, default="")
    trouble_at = models.DateTimeField(null=True, blank=True)
    changed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"drift of {self.project_id}"


class DriftReference(Owned):
    """A frozen stretch of sampled traffic of one feature, side and encoder, that later windows are compared with.

    Never changed but for names of its topics, who approved it, and until when it held. Holds vectors, no text.
    """

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    feature = models.CharField(max_length=200, null=True, blank=True)  # noqa: DJ001 - NULL: all; "": none told
    side = models.CharField(max_length=6)  # input, output
    encoder = models.CharField(max_length=300)  # alerts.encoders: kind, name, version, dimensions
    state = models.CharField(max_length=10, default="in_force")  # in_force, replaced
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    n = models.PositiveIntegerField()
    dims = models.PositiveIntegerField()
    vectors = models.BinaryField()  # (n, dims) float16, little-endian, row by row
    traces = models.BinaryField()  # (n,) ids of 16 bytes each
    centres = models.BinaryField()  # (topics, dims) float32
    learned = models.JSONField(default=dict)  # alerts.drift.reference.Learned as JSON
    seed = models.BigIntegerField()
    reason = models.CharField(max_length=400, blank=True, default="")
    made_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    approved_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    replaced_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "feature", "side", "encoder"], condition=Q(state="in_force"), nulls_distinct=False,
                name="drift_reference_in_force",
            ),
        ]  # fmt: skip
        indexes = [models.Index(fields=["project", "-created_at"], name="drift_reference_newest")]

    def __str__(self) -> str:
        return f"drift reference {self.pk}"


class DriftReport(Owned):
    """What one window of whole days came to against a reference. Made in the night after, or when somebody asks."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    reference = models.ForeignKey(DriftReference, on_delete=models.CASCADE, related_name="reports")
    days = models.PositiveSmallIntegerField()  # 1, 7 or 28
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    n = models.PositiveIntegerField()  # vectors compared
    mmd2 = models.FloatField(null=True, blank=True)
    p = models.FloatField(null=True, blank=True)
    chance_99 = models.FloatField(null=True, blank=True)
    body = models.JSONField(default=dict)  # alerts.drift.report.Report as JSON
    made_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["reference", "days", "start_at"], name="drift_report_once")]

    def __str__(self) -> str:
        return f"drift report {self.pk}"
