"""The watchdog: a thread in every web process sees that monitors are evaluated, and tells when they are not.

It stands outside of what it watches: a worker that is stopped, killed or stuck can tell nobody. One web process acts
at a time, by a lease; all of them know what was seen, so that a page says it without a question to the database.
While the engine stands still the watchdog delivers whatever is due, its own message first of all.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error, connection
from psycopg import OperationalError

from alerts import delivering, notifying, routing
from alerts.models import Channel, EngineState
from alerts.notices.transitions import Kind
from telltale.jobs import leases
from telltale.jobs.beat import LEASE_NAME as SCHEDULER
from telltale.jobs.beat import LEASE_SECONDS as SCHEDULER_LEASE
from telltale.jobs.models import Heartbeat, Lease
from telltale.lib import clock

LEASE_NAME = "guard"
LEASE_SECONDS = 15.0
LOOK_SECONDS = 5.0
# Workers write every 10 s and renew the scheduler's lease every 3 s: what is older than TELLTALE_ENGINE_LIMIT_SECONDS
# (40) has stopped. A round may take a while where charts learn anew; three minutes are the task's own limit.
ROUND_LIMIT = timedelta(seconds=200)
# Seen by so many looks in a row: a machine that wakes up finds every sign of life old, and all well a moment later.
LOOKS = 2
# After a start, what stood while nobody looked has time to begin.
GRACE = timedelta(seconds=60)
# Rounds are written down at most so often.
ROUND_EVERY = timedelta(seconds=5)
ENGINE = "engine"
SEVERITY = 1

logger = logging.getLogger("telltale.alerts")


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: whether monitors are evaluated, else since when not and why.

    `is_sure` is false shortly after a start: what stood while nobody looked has time to begin.
    """

    at: datetime
    stands_since: datetime | None = None
    words: str = ""
    is_sure: bool = True

    @property
    def stands(self) -> bool:
        return self.stands_since is not None


class _Seen:
    """What this process' watchdog saw last; nothing where none runs here."""

    look: Look | None = None
    thread: threading.Thread | None = None
    lock = threading.Lock()
    round_at: datetime | None = None


def seen() -> Look | None:
    """What the watchdog of this process saw last; None where it has not looked, or its look is old. No query."""
    look = _Seen.look
    return look if look is not None and clock.now() - look.at < timedelta(seconds=60) else None


def mark_round() -> None:
    """Write down that a round of evaluation has ended; the engine's own word that it works."""
    now = clock.now()
    if _Seen.round_at is not None and now - _Seen.round_at < ROUND_EVERY:
        return
    _Seen.round_at = now
    if not EngineState.objects.filter(name=ENGINE).update(round_at=now):
        EngineState.objects.update_or_create(name=ENGINE, defaults={"round_at": now})


def limit() -> timedelta:
    """How old a sign of life may be."""
    return timedelta(seconds=settings.TELLTALE_ENGINE_LIMIT_SECONDS)


def look(now: datetime, started_at: datetime) -> Look:
    """What the signs of life say to one who looks since `started_at`. Three small queries."""
    beat = Heartbeat.objects.order_by("-at").values_list("at", flat=True).first()
    until = Lease.objects.filter(name=SCHEDULER).values_list("until", flat=True).first()
    renewed = until - timedelta(seconds=SCHEDULER_LEASE) if until is not None else None
    ended = EngineState.objects.filter(name=ENGINE).values_list("round_at", flat=True).first()
    signs = (
        (beat, limit(), "no worker has shown life"),
        (renewed, limit(), "no worker schedules"),
        (ended, ROUND_LIMIT, "no round of evaluation has ended"),
    )
    for sign, most, words in signs:
        # What never was is missed since somebody looks.
        if now - (sign or started_at) > most:
            return Look(now, sign or started_at, words, is_sure=now - started_at >= GRACE)
    return Look(now)


class Guard(threading.Thread):
    """Looks every few seconds; never ends, whatever happens to the database meanwhile."""

    def __init__(self, look_seconds: float = LOOK_SECONDS) -> None:
        super().__init__(name="guard", daemon=True)
        self.started_at = clock.now()
        self._look_seconds = look_seconds
        self._standing = 0
        self._ending = threading.Event()

    def run(self) -> None:
        """Until told to end."""
        while not self._ending.wait(self._look_seconds):
            try:
                self.turn()
            except (Error, OperationalError):
                # /readyz says that the database is away or migrated; when it is back, everything has time to begin.
                self.started_at = clock.now()
            except Exception as error:
                logger.error("the watchdog could not look", exc_info=error)
            finally:
                connection.close()

    def end(self) -> None:
        self._ending.set()

    def turn(self) -> Look:
        """One look, and what follows from it."""
        found = look(clock.now(), self.started_at)
        self._standing = self._standing + 1 if found.stands else 0
        if found.stands and (self._standing < LOOKS or not found.is_sure):
            return found
        _Seen.look = found
        if leases.hold(LEASE_NAME, seconds=LEASE_SECONDS):
            act(found)
        return found


def act(found: Look) -> None:
    """Tell every project that has a channel, once, that the engine stands, or runs again; deliver what is due."""
    state = EngineState.objects.filter(name=ENGINE).first()
    told = state.stands_since if state is not None else None
    if found.stands_since is not None:
        if told is None:
            EngineState.objects.update_or_create(
                name=ENGINE,
                defaults={"stands_since": found.stands_since, "found_at": found.at, "words": found.words},
            )
            told = found.stands_since
            logger.error("monitors are not evaluated: %s", found.words)
        _tell(Kind.ENGINE_STANDS, told, found)
        # Nobody else does it now.
        routing.route_due()
        delivering.spread()
    elif told is not None:
        _tell(Kind.ENGINE_RUNS, told, found)
        EngineState.objects.filter(name=ENGINE).update(stands_since=None, found_at=None, words="")
        logger.info("monitors are evaluated again")


def _tell(kind: Kind, since: datetime, found: Look) -> None:
    when = f"{since:%d %b %Y %H:%M:%S} UTC"
    words = f"No alarm comes since {when}: {found.words} since then."
    if kind is Kind.ENGINE_RUNS:
        words = f"It stood still since {when}. What came meanwhile is evaluated now, and alarms of that time come late."
    for project_id in (
        Channel.objects.filter(is_on=True, archived_at=None).values_list("project_id", flat=True).distinct()
    ):
        key = f"engine:{'stands' if kind is Kind.ENGINE_STANDS else 'runs'}:{since:%Y%m%dT%H%M%S.%f}"
        notifying.tell_project(project_id, kind, key, severity=SEVERITY, facts={"words": words}, at=found.at)


def start() -> Guard:
    """Begin to look in this process, once; a call after a fork begins anew there."""
    with _Seen.lock:
        if not isinstance(_Seen.thread, Guard) or not _Seen.thread.is_alive():
            _Seen.thread = Guard()
            _Seen.thread.start()
        return _Seen.thread


def wait_for_look(seconds: float) -> Look | None:
    """What is seen within so many seconds; for commands that wait for it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (found := seen()) is not None:
            return found
        time.sleep(0.05)
    return None
