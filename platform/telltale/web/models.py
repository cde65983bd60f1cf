"""What pages of several rooms keep of their own: who took an item of the inbox, and who put one aside."""

from __future__ import annotations

from django.db import models

from telltale.lib.bound import Owned


class InboxMark(Owned):
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


class Erasure(models.Model):
    """One request that a trace, a session, a user, a project or an organisation be removed, and its receipt afterwards.

    Of an organisation `project_id` is 0, and the slug its own. No foreign key: the receipt outlives what it tells of.
    `subject` is sealed while the work lasts, then "": what stays is a keyed hash of it and its last characters.
    """

    project_id = models.BigIntegerField()
    organisation_id = models.BigIntegerField()
    project_slug = models.CharField(max_length=60)
    kind = models.CharField(max_length=12)  # trace, session, user, late (parts of traces), project, organisation
    subject = models.TextField(blank=True, default="")
    subject_key = models.UUIDField()
    hint = models.CharField(max_length=60)
    asked_by = models.CharField(max_length=254)
    asked_at = models.DateTimeField()
    state = models.CharField(max_length=12, default="waiting")  # waiting, running, done, failed, undone
    phase = models.CharField(max_length=20, blank=True, default="")
    error = models.CharField(max_length=300, blank=True, default="")
    # Traces, then rows: how far it is; `total` None where it is not known yet.
    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    # {table: rows removed}; {table: values replaced}; {table: rows that stay, and why}.
    removed = models.JSONField(default=dict)
    replaced = models.JSONField(default=dict)
    kept = models.JSONField(default=dict)
    # {table: rows that were left when it was verified}; none where it is empty and `verified_at` is set.
    remaining = models.JSONField(default=dict)
    job_id = models.BigIntegerField(null=True)
    started_at = models.DateTimeField(null=True)
    verified_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    # Until when what arrives late is refused; None: until somebody lifts it.
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=254, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(fields=["project_id", "-asked_at"], name="erasure_newest"),
            models.Index(fields=["state"], name="erasure_open", condition=models.Q(state__in=["waiting", "running"])),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["project_id", "kind", "subject_key"],
                name="erasure_open_once",
                condition=models.Q(state__in=["waiting", "running"]),
            )
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk} of a {self.kind} ({self.state})"


class ErasureTrace(models.Model):
    """A trace that an erasure removes; gone when it is done."""

    id = models.BigAutoField(primary_key=True)
    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="+")
    trace_id = models.UUIDField()
    is_removed = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["erasure", "trace_id"], name="erasure_trace_once")]

    def __str__(self) -> str:
        return f"a trace of erasure {self.erasure_id}"


class ErasureName(models.Model):
    """An id by which an erasure's person or session is known; gone when it is done."""

    id = models.BigAutoField(primary_key=True)
    erasure = models.ForeignKey(Erasure, on_delete=models.CASCADE, related_name="+")
    what = models.CharField(max_length=8)  # user, session, text
    name = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["erasure", "what"], name="erasure_name_of")]

    def __str__(self) -> str:
        return f"a name of erasure {self.erasure_id}"


class Archive(Owned):
    """An export of a project, or of one user of it: made by a job, held for some days, then dropped."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    job_id = models.BigIntegerField(null=True)
    user_id = models.CharField(max_length=1024, blank=True, default="")
    is_csv = models.BooleanField(default=False)
    # Where the files lie: a directory of this machine, or "" for the chunks below.
    directory = models.CharField(max_length=1000, blank=True, default="")
    asked_by = models.CharField(max_length=254, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)
    dropped_at = models.DateTimeField(null=True)
    bytes = models.BigIntegerField(default=0)
    manifest = models.JSONField(null=True)

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at"], name="archive_newest")]

    def __str__(self) -> str:
        return f"archive {self.pk} of {self.project_id}"


class ArchiveChunk(Owned):
    """A piece of a file of an archive."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, related_name="chunks")
    name = models.CharField(max_length=120)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["archive", "name", "number"], name="archive_chunk_once")]

    def __str__(self) -> str:
        return f"{self.name}:{self.number}"


class ArchiveTrace(Owned):
    """A trace that an export of one user found to be that user's."""

    archive = models.ForeignKey(Archive, on_delete=models.CASCADE, related_name="traces")
    trace_id = models.UUIDField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["archive", "trace_id"], name="archive_trace_once")]

    def __str__(self) -> str:
        return self.trace_id.hex


class ImportedId(Owned):
    """Which row a row of an archive became: so that reading it in again makes no second one."""

    project = models.ForeignKey("projects.Project", on_delete=models.CASCADE, related_name="+")
    source = models.CharField(max_length=80)
    table = models.CharField(max_length=63)
    old_id = models.BigIntegerField()
    new_id = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "source", "table", "old_id"], name="imported_id_once")
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.old_id} -> {self.new_id}"
