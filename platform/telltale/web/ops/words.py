"""The operator's page in words: lines of value and state, ready for the template."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from telltale.lib.format import UNKNOWN
from telltale.web.health import QUEUE_LIMIT_SECONDS, TOLD_LIMIT_SECONDS, Vitals
from telltale.web.ops.reading import TABLES_MAX, Ops

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: what it is, what it says, how it stands (ok, watch, bad, none), and why."""

    label: str
    value: str
    state: str = "ok"
    note: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Work that waits: how much, how long the oldest has."""

    name: str
    waiting: str
    oldest: str
    state: str


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker; `is_silent`: it wrote no row for longer than it should."""

    name: str
    age: str
    is_silent: bool
    done: int
    failed: int
    task: str
    task_age: str


@dataclass(frozen=True, slots=True)
class Shown:
    """The page."""

    found: Ops
    title: str
    state: str
    lines: tuple[Line, ...]
    backlogs: tuple[Backlog, ...]
    workers: tuple[Worker, ...]
    tables: tuple[tuple[str, str, str], ...]
    other_tables: str


def size(n: float | None, missing: str = UNKNOWN) -> str:
    """Bytes in the unit that suits them."""
    if n is None:
        return missing
    value, unit = float(n), 0
    while abs(value) >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:,.0f} {_UNITS[unit]}" if unit == 0 or abs(value) >= 100 else f"{value:,.1f} {_UNITS[unit]}"


def age(seconds: float | None, missing: str = "none waits") -> str:
    """Seconds as somebody says them."""
    if seconds is None:
        return missing
    if seconds < 120:
        return f"{max(0.0, seconds):.0f} s"  # another clock than the database's may be a little ahead
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def view(found: Ops) -> Shown:
    """The page of what was read."""
    notes = found.notes
    title = "Everything moves" if not notes else notes[0] if len(notes) == 1 else f"{len(notes)} things need a look"
    state = "ok" if not notes else "bad" if found.vitals is None else "watch"
    if found.vitals is None:
        return Shown(found, title, state, (), (), (), (), "")
    tables = found.tables or []
    rest = sum(each.bytes for each in tables[TABLES_MAX:])
    return Shown(
        found,
        title,
        state,
        tuple(_lines(found, found.vitals)),
        tuple(backlogs(found.vitals)),
        tuple(
            Worker(
                each.name,
                age(each.age_seconds),
                each.age_seconds > settings.TELLTALE_ENGINE_LIMIT_SECONDS,
                each.tasks_done,
                each.tasks_failed,
                each.oldest_task,
                age(each.oldest_task_seconds, ""),
            )
            for each in found.vitals.workers
        ),
        tuple(
            (each.name, size(each.bytes), UNKNOWN if each.about_rows is None else f"{each.about_rows:,}")
            for each in tables[:TABLES_MAX]
        ),
        f"{len(tables) - TABLES_MAX} smaller tables: {size(rest)}" if len(tables) > TABLES_MAX else "",
    )


def _lines(found: Ops, vitals: Vitals) -> list[Line]:
    lines = [
        Line("Workers alive", str(vitals.workers_alive), "ok" if vitals.workers_alive else "bad"),
        Line(
            "Scheduler",
            "none" if vitals.scheduler_age_seconds is None else f"renewed {age(vitals.scheduler_age_seconds)} ago",
            "bad" if vitals.scheduler_age_seconds is None else "ok",
        ),
        Line("Monitors", "evaluated" if vitals.engine_state == "runs" else "stand still",
             "ok" if vitals.engine_state == "runs" else "bad",
             f"{vitals.watching.broken} cannot be evaluated" if vitals.watching.broken else ""),
    ]  # fmt: skip
    share = vitals.disk_free_bytes / max(vitals.disk_total_bytes, 1)
    lines.append(
        Line("Free on the home's disk", size(vitals.disk_free_bytes), "ok" if share >= 0.15 else "watch" if share >= 0.05 else "bad",  # noqa: E501
             f"{share:.0%} of {size(vitals.disk_total_bytes)}")
    )  # fmt: skip
    lines.append(_growth(found))
    if found.server is not None:
        server = found.server
        is_many = server.connections > 0.8 * server.connections_max
        lines.append(
            Line("Connections", f"{server.connections} of {server.connections_max}", "watch" if is_many else "ok",
                 f"PostgreSQL {server.version}")
        )  # fmt: skip
    if found.missing is None:
        lines.append(Line("Migrations", UNKNOWN, "none"))
    else:
        n = len(found.missing)
        lines.append(Line("Migrations", f"{n} missing" if n else "all applied", "bad" if n else "ok"))
    if found.backed_up_at is None:
        lines.append(Line("Last backup", "not known", "none", "only what telltale backup wrote is"))
    return lines


def _growth(found: Ops) -> Line:
    # The same tables as below, now: what was measured within the hour may be far from them.
    held = UNKNOWN if found.tables is None else size(sum(each.bytes for each in found.tables))
    growth = found.growth
    if growth is None or growth.bytes_a_day is None:
        return Line("Database", held, "none", "growth is known after a day of hourly measures")
    days_seen = (growth.at - growth.since).total_seconds() / 86_400
    note = f"{size(growth.bytes_a_day)} a day over the last {days_seen:.0f} day(s)"
    if growth.days_to_full is None:
        where = "; it does not grow" if growth.bytes_a_day <= 0 else "; its disk is not this machine's"
        return Line("Database", held, "ok", note + where)
    days = growth.days_to_full
    state = "bad" if days < 3 else "watch" if days < 14 else "ok"
    when = "in more than a year" if days > 365 else f"in {days:.0f} days"
    return Line("Database", held, state, f"{note}; the disk is full {when} at this rate")


def backlogs(vitals: Vitals) -> list[Backlog]:
    """Every queue and backlog, whether its oldest work waits too long: `state` watch."""
    rows = [(f"Queue {each.name}", each.waiting, each.oldest_seconds, QUEUE_LIMIT_SECONDS) for each in vitals.queues]
    rows += [
        ("Account of ingest", vitals.pending.batches, vitals.pending.oldest_seconds, QUEUE_LIMIT_SECONDS),
        ("Roll-ups", vitals.folding.entries, vitals.folding.oldest_seconds, QUEUE_LIMIT_SECONDS),
        ("Text search", vitals.search.entries, vitals.search.oldest_seconds, QUEUE_LIMIT_SECONDS),
        ("Monitors due", vitals.watching.due, vitals.watching.oldest_seconds, QUEUE_LIMIT_SECONDS),
        ("Messages to channels", vitals.telling.waiting, vitals.telling.oldest_seconds, TOLD_LIMIT_SECONDS),
    ]
    return [
        Backlog(
            name, f"{waiting:,}", age(oldest), "watch" if oldest is not None and oldest > limit else "ok",
        )
        for name, waiting, oldest, limit in rows
    ]  # fmt: skip
