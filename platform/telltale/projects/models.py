"""Projects: the unit of ownership, keys and retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.contrib.postgres.fields import ArrayField
from django.db import models

from telltale.accounts.models import OrganisationMember
from telltale.lib.bound import Owned

if TYPE_CHECKING:
    from telltale.accounts.models import User


class Role(models.TextChoices):
    """What a person may do in a project, weakest first; `telltale.projects.access` says what each may do."""

    VIEWER = "viewer", "Viewer"
    REVIEWER = "reviewer", "Reviewer"
    ENGINEER = "engineer", "Engineer"
    ADMIN = "admin", "Admin"
    OWNER = "owner", "Owner"


class ProjectQuerySet(models.QuerySet["Project"]):
    def for_user(self, user: User | AnonymousUser) -> ProjectQuerySet:
        """The projects `user` is a member of, or owns through the organisation; none for somebody unknown."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(
            models.Exists(ProjectMember.objects.filter(project=models.OuterRef("pk"), user=user))
            | models.Exists(
                OrganisationMember.objects.filter(
                    organisation=models.OuterRef("organisation_id"), user=user, is_owner=True
                )
            )
        )


class Project(models.Model):
    organisation = models.ForeignKey("accounts.Organisation", on_delete=models.CASCADE, related_name="projects")
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    # Traces, their spans and counts; roll-ups and the account of ingest stay.
    retention_days = models.PositiveIntegerField(default=90)
    # What people and models wrote: bodies, previews, the text index. Never longer than the trace.
    text_days = models.PositiveIntegerField(default=30)
    # What judges, people and probes found; it outlives the trace it was found in.
    score_days = models.PositiveIntegerField(default=365)
    # Asked to be removed: its keys answer nothing from then on, and everything goes when it is due.
    deletion_asked_at = models.DateTimeField(null=True, blank=True)
    deletion_due_at = models.DateTimeField(null=True, blank=True)
    deletion_asked_by = models.CharField(max_length=254, blank=True)
    # Names people know; anything else that arrives is kept and listed as new.
    feature_names = ArrayField(models.CharField(max_length=200), default=list, blank=True)
    # [{"match": "root_name" | "service", "pattern": "checkout*", "feature": "checkout"}], first hit wins.
    feature_rules = models.JSONField(default=list, blank=True)
    first_span_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ProjectQuerySet.as_manager()

    # The role of the person this row was fetched for; set by `telltale.projects.access` alone.
    your_role: Role | None = None

    def __str__(self) -> str:
        return self.name

    @property
    def text_kept_days(self) -> int:
        """Days that text is really kept: never longer than its trace."""
        return min(self.text_days, self.retention_days)


class ProjectMember(Owned):
    """A person's role in one project; owners are owners of the organisation and need no row here."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="project_members")
    role = models.CharField(max_length=16, choices=[c for c in Role.choices if c[0] != Role.OWNER])
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="project_member_once")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) in {self.project}"


class ApiKey(Owned):
    """One key of one project. The secret part is kept as its SHA-256 alone."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="keys")
    name = models.CharField(max_length=120)
    public_part = models.CharField(max_length=64, unique=True)
    secret_sha256 = models.BinaryField(max_length=32, unique=True)
    last_four = models.CharField(max_length=4)
    scopes = ArrayField(models.CharField(max_length=16), default=list)
    created_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    # How many spans, log records and metric points it may send a second; None is what the installation says.
    spans_a_second = models.PositiveIntegerField(null=True, blank=True)
    # Pages that may send signals with it from a browser, as `https://shop.example`; `*` is any, none is none.
    origins = ArrayField(models.CharField(max_length=300), default=list, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.name} ({self.public_part})"


class Invitation(Owned):
    """A way into one project for one e-mail address. The link's secret part is kept as its SHA-256 alone."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=16, choices=[c for c in Role.choices if c[0] != Role.OWNER])
    token_sha256 = models.BinaryField(max_length=32, unique=True)
    invited_by = models.ForeignKey("accounts.User", null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "email"], condition=models.Q(accepted_at=None), name="invitation_open_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.role}) to {self.project}"


class RetentionDay(Owned):
    """What the sweeps of one UTC day removed of one kind of a project's data, and what they left: the proof."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12)  # telltale.projects.keeping.KINDS
    day = models.DateField()
    runs = models.PositiveIntegerField(default=0)
    # A run that began after the last one ended is under way, or its worker died.
    began_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    rows = models.BigIntegerField(default=0)
    # Stored bytes that went, by the tables' average row; exact to the page only where partitions were dropped.
    bytes = models.BigIntegerField(default=0)
    # What lies before it is past its days; and the oldest row that is left, if any.
    cutoff_at = models.DateTimeField()
    oldest_at = models.DateTimeField(null=True)
    is_done = models.BooleanField(default=False)
    reason = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind", "day"], name="retention_day_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.project_id} on {self.day}"


class StoredSize(Owned):
    """How much of one kind a project has stored, as measured last."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=12)
    rows = models.BigIntegerField()
    bytes = models.BigIntegerField()
    # Of what began within the seven full days before: by it the page says where the size levels off.
    week_bytes = models.BigIntegerField(null=True)
    week_days = models.FloatField(null=True)
    # Large tables are counted in a sample of their pages.
    is_sampled = models.BooleanField(default=False)
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "kind"], name="stored_size_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.project_id}"
