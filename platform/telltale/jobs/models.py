"""Rows that carry work: long jobs, leases, signs of life, and the embedded broker's messages."""

from __future__ import annotations

from django.db import models


class JobState(models.TextChoices):
    """pending -> running -> done | failed | cancelled; a running job whose lease ran out is claimed again."""

    PENDING = "pending", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Leased(models.Model):
    """A row that one holder works on at a time; see `telltale.jobs.leases`."""

    lease_by = models.CharField(max_length=80, blank=True, default="")
    lease_until = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


class Job(Leased):
    """One long piece of work that shows progress and goes on where it stopped (reprice, export, erase)."""

    kind = models.CharField(max_length=40)
    project = models.ForeignKey("projects.Project", null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.PENDING)
    params = models.JSONField(default=dict)
    # Where to go on: written with each step, in the step's own transaction where it changes rows.
    cursor = models.JSONField(default=dict)
    progress = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True)
    result = models.JSONField(null=True)
    error = models.TextField(blank=True, default="")
    created_by = models.ForeignKey(
        "accounts.User", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["lease_until"], name="job_open", condition=models.Q(state__in=["pending", "running"])
            ),
            models.Index(fields=["project", "-created_at"], name="job_project"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} ({self.state})"


class Lease(models.Model):
    """A named right that one holder has until it expires, such as to be the scheduler."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=80)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class Schedule(models.Model):
    """When a scheduled task was last sent, so that a restart neither repeats nor forgets a daily one."""

    name = models.CharField(max_length=100, primary_key=True)
    last_run_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Heartbeat(models.Model):
    """A worker's sign of life, written by its pool, the same threads that do the work."""

    name = models.CharField(max_length=120, primary_key=True)
    pid = models.IntegerField()
    started_at = models.DateTimeField()
    at = models.DateTimeField()
    tasks_done = models.BigIntegerField(default=0)
    tasks_failed = models.BigIntegerField(default=0)
    # The task that has run longest, if any runs.
    oldest_task = models.CharField(max_length=200, blank=True, default="")
    oldest_task_since = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%H:%M:%S}"


class Message(models.Model):
    """One message of the embedded broker. Losing all of them loses nothing: the work is in rows of its own."""

    id = models.BigAutoField(primary_key=True)
    queue = models.CharField(max_length=100)
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    lease_by = models.CharField(max_length=80, blank=True, default="")
    lease_until = models.DateTimeField(null=True)
    deliveries = models.IntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["queue", "id"], name="message_queue")]

    def __str__(self) -> str:
        return f"{self.queue} {self.pk}"


class Kept(models.Model):
    """How many rows of a kind were removed after they were counted, so that a counter over the rest never falls."""

    name = models.CharField(max_length=80, primary_key=True)
    n = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name}: {self.n}"


class DiskSample(models.Model):
    """How large the database was at an hour, and what its disk had free; None where that disk is not this machine's."""

    at = models.DateTimeField(primary_key=True)
    database_bytes = models.BigIntegerField()
    free_bytes = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.at:%d %b %H:%M}: {self.database_bytes}"
