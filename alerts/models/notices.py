"""Who is told of what, and what became of it: channels, routes, silences, the outbox and its log."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from telltale.lib.bound import Owned

PROJECT = "projects.Project"
USER = "accounts.User"


class NoticeSettings(Owned):
    """How a project tells. No row: the defaults of `alerts.notices.settings`."""

    project = models.OneToOneField(PROJECT, primary_key=True, on_delete=models.CASCADE, related_name="+")
    group_seconds = models.PositiveIntegerField(default=20)  # alarms of one trouble that come within are one message
    repeat_minutes = models.PositiveIntegerField(null=True, blank=True, default=240)  # NULL: never repeated
    # A dead man's switch: this address is asked every so many seconds while the engine works.
    alive_url = models.TextField(blank=True, default="")  # sealed
    alive_seconds = models.PositiveIntegerField(default=60)
    alive_at = models.DateTimeField(null=True, blank=True)  # the last answer below 300
    alive_due_at = models.DateTimeField(null=True, blank=True)
    alive_error = models.CharField(max_length=300, blank=True, default="")
    changed_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    changed_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"notice settings of {self.project_id}"


class Channel(Owned):
    """A place messages go to. What lets one post there is sealed."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=12)  # email, webhook, slack, pagerduty, teams, opsgenie
    config = models.JSONField(default=dict, blank=True)  # addresses, region: what may be shown
    secret = models.TextField(blank=True, default="")  # sealed: URL with a token, signing key, routing key
    hint = models.CharField(max_length=120, blank=True, default="")
    is_on = models.BooleanField(default=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, default="")
    paused_until = models.DateTimeField(null=True, blank=True)  # it asked for a pause (429, Retry-After)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], condition=Q(archived_at__isnull=True), name="channel_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Route(Owned):
    """Which transitions go to a channel: by severity, scope and hours; and to whom when nobody acknowledges."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="routes")
    severities = models.JSONField(default=list, blank=True)  # [] all
    features = models.JSONField(default=list, blank=True)  # [] all
    # {"days": [1..7], "start": "09:00", "end": "18:00"} in the project's zone; {} always.
    hours = models.JSONField(default=dict, blank=True)
    kinds = models.JSONField(default=list, blank=True)  # [] all of alerts.notices.transitions.KINDS
    # Told instead of at once: only where nobody acknowledged for so many minutes. NULL: at once.
    after_minutes = models.PositiveIntegerField(null=True, blank=True)
    is_on = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"route {self.pk} to {self.channel_id}"


class Silence(Owned):
    """Nobody is told of what matches between two moments; incidents open and alarms are drawn all the same."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    start_at = models.DateTimeField()
    end_at = models.DateTimeField()
    # {"monitors": [ids], "features": [], "severities": []}: all given must match; {} everything.
    matches = models.JSONField(default=dict, blank=True)
    reason = models.CharField(max_length=400)
    created_by = models.ForeignKey(USER, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)  # ended early

    class Meta:
        indexes = [models.Index(fields=["project", "end_at"], name="silence_end")]

    def __str__(self) -> str:
        return f"silence {self.pk}"


class Transition(Owned):
    """The outbox: something people are to be told of. Written in the transaction that made it happen.

    `key` is stable: the same happening, told twice, is one row. `id` is what every message of it carries.
    """

    id = models.UUIDField(primary_key=True)  # uuid5 of project and key
    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=160)
    # opened, worse, acknowledged, overdue, unacknowledged, reopened, recovered, resolved, repeat, engine_stands,
    # engine_runs, budget, test
    kind = models.CharField(max_length=16)
    incident = models.ForeignKey(
        "alerts.Incident", null=True, blank=True, on_delete=models.CASCADE, related_name="transitions"
    )
    severity = models.PositiveSmallIntegerField(null=True, blank=True)
    at = models.DateTimeField()
    due_at = models.DateTimeField()  # not told before: what comes together is one message
    facts = models.JSONField(default=dict, blank=True)  # what a message needs that may change until it is written
    routed_at = models.DateTimeField(null=True, blank=True)  # its deliveries were made

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "key"], name="transition_once")]
        indexes = [
            models.Index(fields=["due_at"], condition=Q(routed_at=None), name="transition_due"),
            models.Index(fields=["project", "-at"], name="transition_newest"),
        ]

    def __str__(self) -> str:
        return self.key


class Delivery(Owned):
    """One transition to one channel (or one watcher's address), tried until it is there or hours have gone by."""

    project = models.ForeignKey(PROJECT, on_delete=models.CASCADE, related_name="+")
    transition = models.ForeignKey(Transition, on_delete=models.CASCADE, related_name="deliveries")
    channel = models.ForeignKey(Channel, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries")
    user = models.ForeignKey(USER, null=True, blank=True, on_delete=models.CASCADE, related_name="+")  # a watcher
    state = models.CharField(max_length=10, default="waiting")  # waiting, delivered, failed, silenced, muted, dropped
    message = models.JSONField(default=dict, blank=True)  # frozen at the first attempt: every attempt says the same
    attempts = models.PositiveSmallIntegerField(default=0)
    next_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)  # of the last answer
    error = models.CharField(max_length=300, blank=True, default="")
    ref = models.CharField(max_length=200, blank=True, default="")  # the receiver's own id of it
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["transition", "channel", "user"], nulls_distinct=False, name="delivery_once"
            )
        ]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(state="waiting"), name="delivery_due"),
            # Held back by a silence or a mute: looked at again, for what is still going on when it ends.
            models.Index(
                fields=["next_at"], condition=Q(state__in=["silenced", "muted"], ended_at=None), name="delivery_held"
            ),
            models.Index(fields=["project", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.transition_id} to {self.channel_id or self.user_id}"


class Attempt(Owned):
    """One attempt of a delivery, as the log shows it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveSmallIntegerField()
    at = models.DateTimeField()
    seconds = models.FloatField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="attempt_once")]

    def __str__(self) -> str:
        return f"{self.number} of {self.delivery_id}"


class EngineState(models.Model):
    """Whether monitors are evaluated, as the watchdog in the web processes knows it: one row."""

    name = models.CharField(max_length=12, primary_key=True, default="engine")
    round_at = models.DateTimeField(null=True, blank=True)  # the last round of evaluation that ended
    stands_since = models.DateTimeField(null=True, blank=True)  # the last sign of life before it stood still
    found_at = models.DateTimeField(null=True, blank=True)
    words = models.CharField(max_length=300, blank=True, default="")

    def __str__(self) -> str:
        return self.name
