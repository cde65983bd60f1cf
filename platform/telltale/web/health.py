"""Whether the product works: /healthz (this process answers), /readyz (work can be done).

What stands behind them is read by `read_vitals`, on which /metrics and the operator's page stand too.
"""

from __future__ import annotations

import hmac
import ipaddress
import pkgutil
import shutil
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import Error, connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed, JsonResponse
from psycopg import OperationalError

from alerts.read.monitors import Backlog as WatchingBacklog
from alerts.read.monitors import read_watching_backlog
from alerts.read.notices import EngineRow, Telling, read_engine, read_telling
from telltale.jobs.read import HeartbeatAge, read_heartbeats, read_queues, read_scheduler_at
from telltale.lib import clock
from telltale.lib.patience import answer_within
from traces.read.flow import Pending, read_pending
from traces.read.rollups import FoldBacklog, read_fold_backlog
from traces.read.search import Backlog, read_backlog

READ_TIMEOUT_MS = 2000
ANSWER_SECONDS = 3.0  # where the database is too far gone to keep its own time-out
# A worker that wrote no row for this long does no work, whatever its process looks like.
HEARTBEAT_LIMIT_SECONDS = 60.0
QUEUE_LIMIT_SECONDS = 60.0
# Receivers are tried again after a few seconds, then minutes.
TOLD_LIMIT_SECONDS = 300.0
DATABASE_ERRORS = (Error, OperationalError)


@dataclass(frozen=True, slots=True)
class QueueAge:
    """Work nobody has claimed yet; `oldest_seconds` is None where there is none."""

    name: str
    waiting: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Vitals:
    """Signs of life at one moment. Ages in seconds; None where there is no sign at all."""

    at: datetime
    queues: tuple[QueueAge, ...]
    workers: tuple[HeartbeatAge, ...]
    scheduler_age_seconds: float | None
    pending: Pending
    search: Backlog
    folding: FoldBacklog
    watching: WatchingBacklog
    telling: Telling
    engine: EngineRow
    disk_free_bytes: int
    disk_total_bytes: int
    failed_jobs: int

    @property
    def workers_alive(self) -> int:
        """Workers that showed life lately (TELLTALE_ENGINE_LIMIT_SECONDS)."""
        return sum(worker.age_seconds <= settings.TELLTALE_ENGINE_LIMIT_SECONDS for worker in self.workers)

    @property
    def engine_state(self) -> str:
        """ "runs", or "stands" where no worker shows life or the watchdog found that nothing is evaluated."""
        return "runs" if self.workers_alive and self.engine.stands_since is None else "stands"

    @property
    def notes(self) -> list[str]:
        """What is not as it should be, in words; empty when all is well."""
        notes = []
        if not self.workers_alive:
            limit = settings.TELLTALE_ENGINE_LIMIT_SECONDS
            notes.append(f"No worker has shown life for {limit} s; monitors, charts and judging stand still.")
        if self.engine.stands_since is not None:
            since = f"{self.engine.stands_since:%d %b %Y %H:%M:%S} UTC"
            notes.append(f"Monitors are not evaluated since {since}: {self.engine.words}.")
        if self.scheduler_age_seconds is None:
            notes.append("No worker is the scheduler just now.")
        for queue in self.queues:
            if queue.oldest_seconds is not None and queue.oldest_seconds > QUEUE_LIMIT_SECONDS:
                notes.append(f"Work in queue {queue.name} has waited {queue.oldest_seconds:.0f} s.")
        lag = self.pending.oldest_seconds
        if lag is not None and lag > QUEUE_LIMIT_SECONDS:
            notes.append(f"The account of ingest is {lag / 60:.0f} min behind.")
        unfolded = self.folding.oldest_seconds
        if unfolded is not None and unfolded > QUEUE_LIMIT_SECONDS:
            notes.append(f"Charts are {unfolded / 60:.0f} min behind.")
        if self.folding.set_aside:
            notes.append(f"{self.folding.set_aside} traces could not be booked into roll-ups.")
        behind = self.search.oldest_seconds
        if behind is not None and behind > QUEUE_LIMIT_SECONDS:
            notes.append(f"Text search is {behind / 60:.0f} min behind.")
        overdue = self.watching.oldest_seconds
        if overdue is not None and overdue > QUEUE_LIMIT_SECONDS:
            notes.append(f"Monitors are {overdue / 60:.0f} min behind.")
        if self.watching.broken:
            notes.append(f"{self.watching.broken} monitors cannot be evaluated.")
        untold = self.telling.oldest_seconds
        if untold is not None and untold > TOLD_LIMIT_SECONDS:
            notes.append(f"A message to a channel has waited for {untold / 60:.0f} min.")
        if self.telling.failed:
            notes.append(f"{self.telling.failed} messages were given up in the last day.")
        if self.disk_free_bytes < self.disk_total_bytes * 0.05:
            notes.append("Less than 5% of the disk is free.")
        return notes


def missing_migrations() -> list[str]:
    """Names of migrations on disk that the database lacks, as `app.name`; reads one table, imports no migration."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('django_migrations') IS NOT NULL")
        known = bool(cursor.fetchone()[0])
        if known:
            cursor.execute("SELECT app, name FROM django_migrations")
        applied = set(cursor.fetchall()) if known else set()
    missing = []
    for app in apps.get_app_configs():
        try:
            package = import_module(f"{app.name}.migrations")
        except ModuleNotFoundError:
            continue
        names = [module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_")]
        missing += [f"{app.label}.{name}" for name in names if (app.label, name) not in applied]
    return sorted(missing)


class _Migrated:
    """Whether this process has seen the database complete; it never goes back to incomplete under a running process."""

    is_known = False

    def check(self) -> bool:
        """True once no migration is missing."""
        if not self.is_known:
            self.is_known = not missing_migrations()
        return self.is_known


migrated = _Migrated()


def read_vitals() -> Vitals:
    """The signs of life; a database error where the database does not answer within its limit."""
    now = clock.now()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(READ_TIMEOUT_MS)])
        queues = tuple(QueueAge(q.name, q.waiting, q.oldest_seconds) for q in read_queues(now))
        workers = tuple(read_heartbeats(now))
        scheduler = read_scheduler_at(now)
        pending = read_pending()
        search = read_backlog()
        folding = read_fold_backlog()
        watching = read_watching_backlog(now)
        telling = read_telling(now)
        engine = read_engine()
        cursor.execute("SELECT count(*) FROM jobs_job WHERE state = 'failed'")
        failed = int(cursor.fetchone()[0])
    home = settings.TELLTALE_HOME
    disk = shutil.disk_usage(home if home.exists() else "/")
    return Vitals(
        now, queues, workers, scheduler, pending, search, folding, watching, telling, engine, disk.free, disk.total,
        failed,
    )  # fmt: skip


def healthz(request: HttpRequest) -> HttpResponseBase:
    """200: this process answers. No database, no key; no proof that anything else works."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


def readyz(request: HttpRequest) -> HttpResponseBase:
    """200 when the database answers and is migrated, else 503. Details for this machine and for the metrics token."""
    if request.method not in {"GET", "HEAD"}:
        return HttpResponseNotAllowed(["GET", "HEAD"])
    try:
        with answer_within(ANSWER_SECONDS):
            if not migrated.check():
                return _not_ready("migrating", "The database is being migrated.")
            vitals = read_vitals()
    except DATABASE_ERRORS:
        return _not_ready("away", "The database does not answer.")
    body: dict[str, Any] = {"status": "ready", "database": "reachable", "migrations": "applied"}
    body["engine"] = vitals.engine_state
    if is_trusted(request):
        body |= details(vitals)
    return JsonResponse(body)


def is_trusted(request: HttpRequest) -> bool:
    """Whether details are for this request's eyes: it comes from this machine, unproxied, or carries the token."""
    token = settings.TELLTALE_METRICS_TOKEN
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if hmac.compare_digest(given.encode(), token.encode()):
            return True
    # A proxy on this machine speaks for people elsewhere.
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _not_ready(state: str, text: str) -> JsonResponse:
    body = {
        "status": "not ready",
        "database": "unreachable" if state == "away" else "reachable",
        "migrations": "unknown" if state == "away" else "missing",
        "detail": text,
    }
    return JsonResponse(body, status=503, headers={"Retry-After": "2"})


def details(vitals: Vitals) -> dict[str, Any]:
    """The signs of life for who may see them; no host is named."""
    return {
        "notes": vitals.notes,
        "queues": {q.name: {"waiting": q.waiting, "oldest_seconds": _tenth(q.oldest_seconds)} for q in vitals.queues},
        "workers": [
            {
                "worker": number,
                "heartbeat_seconds": _tenth(worker.age_seconds),
                "tasks_done": worker.tasks_done,
                "tasks_failed": worker.tasks_failed,
                "oldest_task_seconds": _tenth(worker.oldest_task_seconds),
            }
            for number, worker in enumerate(vitals.workers, 1)
        ],
        "scheduler_seconds": _tenth(vitals.scheduler_age_seconds),
        "ingest_to_account_seconds": _tenth(vitals.pending.oldest_seconds) or 0.0,
        "search": {
            "pending_changes": vitals.search.entries,
            "oldest_seconds": _tenth(vitals.search.oldest_seconds) or 0.0,
            "set_aside": vitals.search.set_aside,
        },
        "roll_ups": {
            "pending_changes": vitals.folding.entries,
            "oldest_seconds": _tenth(vitals.folding.oldest_seconds) or 0.0,
            "set_aside": vitals.folding.set_aside,
        },
        "monitors": {
            "due": vitals.watching.due,
            "oldest_seconds": _tenth(vitals.watching.oldest_seconds) or 0.0,
            "broken": vitals.watching.broken,
            "round_at": vitals.engine.round_at.isoformat() if vitals.engine.round_at else None,
        },
        "messages": {
            "waiting": vitals.telling.waiting,
            "oldest_seconds": _tenth(vitals.telling.oldest_seconds) or 0.0,
            "given_up": vitals.telling.failed,
        },
        "disk": {"free_bytes": vitals.disk_free_bytes, "total_bytes": vitals.disk_total_bytes},
        "failed_jobs": vitals.failed_jobs,
    }


def _tenth(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
