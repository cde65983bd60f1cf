"""Tables of traces that the ORM serves.

The span-sized ones (span, payload, trace, ingest_batch, ...) are in `migrations/0001_tables.sql`: they are partitioned,
keyed by (project, trace, ...) and written by COPY, so SQL reads better there.
"""

from __future__ import annotations

from django.db import models

from telltale.jobs.models import Leased
from telltale.lib.bound import Owned


class Price(Owned):
    """A price entered by people: of one project, or of the whole installation where `project` is empty.

    Rates are pico-dollars (10**-12 USD) per token; NULL is "no rate", 0 is free. Shipped prices are a data file.
    """

    project = models.ForeignKey("projects.Project", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=100, blank=True)
    match_kind = models.CharField(max_length=10, default="exact")
    model = models.CharField(max_length=300)
    tier = models.CharField(max_length=12, default="standard")
    context_over = models.BigIntegerField(null=True, blank=True)
    input_fresh = models.BigIntegerField(null=True, blank=True)
    input_cache_read = models.BigIntegerField(null=True, blank=True)
    input_cache_write_5m = models.BigIntegerField(null=True, blank=True)
    input_cache_write_1h = models.BigIntegerField(null=True, blank=True)
    input_audio = models.BigIntegerField(null=True, blank=True)
    output_text = models.BigIntegerField(null=True, blank=True)
    output_reasoning = models.BigIntegerField(null=True, blank=True)
    output_audio = models.BigIntegerField(null=True, blank=True)
    usd_per_hour = models.DecimalField(max_digits=18, decimal_places=6, null=True, blank=True)
    effective_from = models.DateTimeField(null=True, blank=True)
    effective_to = models.DateTimeField(null=True, blank=True)
    source = models.CharField(max_length=300)
    source_date = models.DateField()
    created_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    # A corrected row replaces the one before it; spans keep the id of the row they were priced with.
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["project", "model"], name="price_project_model")]

    def __str__(self) -> str:
        return f"{self.model} ({self.tier}) from {self.effective_from or 'ever'}"


class SavedView(Owned):
    """A list as somebody keeps it: a name and the address' query, which holds filters, sort, columns and range.

    A private one is its owner's alone; a shared one belongs to the project and outlives its maker's account.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    owner = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    page = models.CharField(max_length=20, default="traces")
    name = models.CharField(max_length=80)
    query = models.TextField(blank=True)
    is_shared = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "page", "name"], condition=models.Q(is_shared=True), name="view_shared_name"
            ),
            models.UniqueConstraint(
                fields=["project", "page", "owner", "name"], condition=models.Q(is_shared=False), name="view_own_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class DefaultView(Owned):
    """The view that a person's list opens with."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+")
    page = models.CharField(max_length=20, default="traces")
    view = models.ForeignKey(SavedView, on_delete=models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user", "page"], name="view_default_once")]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.view_id}"


class Watch(Owned):
    """A project whose new spans a room above this one wants to be told of (traces.changes)."""

    project = models.OneToOneField("projects.Project", primary_key=True, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.project_id)


class ForwardTarget(Leased, Owned):
    """A place that a project's accepted spans are sent on to, and how that goes.

    Whoever holds the lease sends. Header values are sealed (telltale.lib.vault) and never shown again.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    name = models.CharField(max_length=80)
    url = models.CharField(max_length=2048)
    sealed_headers = models.TextField(blank=True, default="")
    # What is shown of them: name -> the last characters of the value.
    header_hints = models.JSONField(default=dict, blank=True)
    with_content = models.BooleanField(default=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    # Spans that wait in traces_forward_queue.
    queued_spans = models.BigIntegerField(default=0)
    sent_spans = models.BigIntegerField(default=0)
    refused_spans = models.BigIntegerField(default=0)
    dropped = models.JSONField(default=dict, blank=True)  # reason -> spans
    failures = models.PositiveIntegerField(default=0)  # attempts in a row
    failing_since = models.DateTimeField(null=True, blank=True)
    next_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True, default="")
    last_error_at = models.DateTimeField(null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="forward_target_name")]

    def __str__(self) -> str:
        return self.name


class SignalDefinition(Owned):
    """One version of what a project takes for an end user's signal: names of signals, and rules over traces.

    The newest version is in force; rows made by older ones are made again in the background. None: the shipped one.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    spec = models.JSONField()
    created_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="signal_definition_once")]

    def __str__(self) -> str:
        return f"{self.project_id} v{self.version}"


class MaskPolicy(Owned):
    """One version of what a project masks (traces.masking.policy). The newest is in force; none: the one shipped."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    rules = models.JSONField()
    made_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "version"], name="mask_policy_once")]

    def __str__(self) -> str:
        return f"{self.project_id} v{self.version}"


class MaskKey(Owned):
    """What a project's marks are hashed with, sealed; made once, so that the same value keeps the same mark."""

    project = models.OneToOneField("projects.Project", on_delete=models.CASCADE, related_name="+", primary_key=True)
    sealed = models.TextField()
    made_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"mask key of {self.project_id}"


class Outcome(Owned):
    """A named business measure over sessions: a ratio of two sums, defined by people (traces.outcomes).

    A change of what it measures makes a new row of figures: `revision` grows, and its sums are booked anew.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    slug = models.SlugField(max_length=60)
    name = models.CharField(max_length=120)
    spec = models.JSONField()
    revision = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField(auto_now=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "slug"], name="outcome_slug")]

    def __str__(self) -> str:
        return self.name


class Change(Owned):
    """One change of what a project runs: told by people, programs and CI, or derived from its traces.

    Empty service, feature and environment: it touches all of them. `client_id` is the sender's own id (sent again, it
    changes the row), `origin` what a derived one was derived from; a derived one that somebody removed stays hidden.
    """

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=16)
    at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)
    # What changed (a prompt, a model, an index), what it is now, and what it was before.
    name = models.CharField(max_length=200, blank=True, default="")
    version = models.CharField(max_length=200, blank=True, default="")
    previous = models.CharField(max_length=200, blank=True, default="")
    service = models.TextField(blank=True, default="")
    feature = models.TextField(blank=True, default="")
    environment = models.TextField(blank=True, default="")
    author = models.CharField(max_length=200, blank=True, default="")
    note = models.TextField(blank=True, default="")
    url = models.CharField(max_length=2048, blank=True, default="")
    details = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=8)
    client_id = models.CharField(max_length=200, blank=True, default="")
    origin = models.CharField(max_length=64, blank=True, default="")
    created_by = models.ForeignKey("accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    hidden_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "client_id"], condition=~models.Q(client_id=""), name="change_client_once"
            ),
            models.UniqueConstraint(
                fields=["project", "origin"], condition=~models.Q(origin=""), name="change_origin_once"
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True) | models.Q(ended_at__gte=models.F("at")), name="change_order"
            ),
        ]
        indexes = [
            models.Index(fields=["project", "-at", "-id"], name="change_newest"),
            models.Index(fields=["project", "at"], condition=models.Q(ended_at__isnull=False), name="change_lasting"),
            models.Index(fields=["project", "kind", "version"], name="change_version"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.version}"
