"""Alarms as pages show them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import QueryDict

from alerts.pages import units, words
from alerts.read.alarms import STATES, VERDICTS, AlarmRow
from alerts.series.catalogue import find_metric

UNJUDGED = "nobody"


@dataclass(frozen=True, slots=True)
class AlarmLine:
    """One alarm, ready for a template. `is_open`: it may be acknowledged or closed."""

    id: int
    monitor_id: int
    monitor: str
    says: str
    ribbon: str
    word: str
    start: datetime
    end: datetime
    value: str
    rule: str
    severity: str
    kind: str
    verdict: str
    css: str
    note: str
    by: str
    at: datetime | None
    is_open: bool
    is_acknowledged: bool
    is_judged: bool


@dataclass(frozen=True, slots=True)
class AlarmsAsked:
    """The filters of an address of the list; what it says wrongly is left out."""

    state: str = ""
    verdict: str = ""
    severity: int | None = None
    pages_only: bool = False
    monitor_id: int | None = None
    before: int | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(
            self.state or self.verdict or self.pages_only or self.monitor_id is not None or self.severity is not None
        )


def read_asked(query: QueryDict) -> AlarmsAsked:
    """The filters of an address."""
    severity, state, verdict = query.get("severity", "").lower(), query.get("state", ""), query.get("verdict", "")
    return AlarmsAsked(
        state=state if state in STATES else "",
        verdict=verdict if verdict in {*VERDICTS, UNJUDGED} else "",
        severity=int(severity[1]) if severity in {"p0", "p1", "p2", "p3"} else None,
        pages_only=query.get("tier") == "page",
        monitor_id=number(query.get("monitor", "")),
        before=number(query.get("before", "")),
    )


def number(text: str) -> int | None:
    """A row's id out of an address; None for what is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def line(row: AlarmRow) -> AlarmLine:
    """One alarm of a list."""
    ribbon, word = words.ALARM_STATES[row.state]
    unit = units.unit_of(find_metric(row.metric))
    by, at = (row.closed_by, row.closed_at) if row.closed_at else (row.acknowledged_by, row.acknowledged_at)
    return AlarmLine(
        id=row.id,
        monitor_id=row.monitor_id,
        monitor=row.monitor_name,
        says=words.happened(row.rule, row.direction),
        ribbon=ribbon,
        word=word,
        start=row.window_start,
        end=row.window_end,
        value="" if row.value is None else unit.text(row.value),
        rule=row.rule,
        severity=f"p{row.severity}",
        kind="page" if row.is_page else "no page",
        verdict=words.VERDICTS[row.verdict],
        css={"real": "bad", "false": "", "accepted": "ok"}.get(row.verdict, "none"),
        note=row.note,
        by=by,
        at=at,
        is_open=row.is_open,
        is_acknowledged=row.state == "acknowledged",
        is_judged=bool(row.verdict),
    )


def lines(rows: Sequence[AlarmRow]) -> list[AlarmLine]:
    """Alarms of a list, in their order."""
    return [line(row) for row in rows]
