"""What was dealt of an incident, and what people's verdicts come to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from alerts.models import IncidentStep, ScopeReport, TriageItem
from alerts.read.monitors import _person
from alerts.stats.triage import Arm, Share, Weighed, weigh
from alerts.write.triage import REPORT

FLAGGED, CONTROL, BEFORE = "flagged", "control", "before"
REAL, FALSE, UNSURE = "real", "false", "unsure"
VERDICTS = (REAL, FALSE, UNSURE)


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One response that was dealt. `origin` is not to be shown before the deal is over. `verdict` "": nobody said.

    `pi`: the chance this response of all traffic had to be dealt. `held_by`: who has it on the screen now.
    """

    position: int
    origin: str
    trace_id: UUID
    span_id: int | None
    pi: float
    verdict: str
    user_id: int | None
    who: str
    decided_at: datetime | None
    note: str
    held_by_id: int | None
    held_by: str

    @property
    def hex_id(self) -> str:
        return self.trace_id.hex


@dataclass(frozen=True, slots=True)
class Drawn:
    """A stretch that was drawn from: [start, end), responses in it, flagged ones, and their share of all traffic."""

    start: datetime
    end: datetime
    n: int
    flagged: int
    share: float | None
    n_eff: float


@dataclass(frozen=True, slots=True)
class Deal:
    """What was dealt in one round of an incident, in the order in which it is shown.

    `words` follow "responses that"; `now`, `before`: the stretches drawn from. `is_whole`: no single response can be
    flagged by this monitor. `lacking`: why there is little or nothing to look at, "" where there is enough.
    """

    made_at: datetime
    words: str
    monitor_id: int | None
    monitor_name: str
    is_whole: bool
    lacking: str
    now: Drawn
    before: Drawn
    items: tuple[ItemRow, ...]
    is_concluded: bool

    def arm(self, origin: str) -> Arm:
        """The verdicts on responses of one origin."""
        said = [each.verdict for each in self.items if each.origin == origin]
        return Arm(len(said), said.count(REAL), said.count(FALSE), said.count(UNSURE))

    @property
    def said(self) -> int:
        """How many somebody said something of, unsure too."""
        return sum(bool(each.verdict) for each in self.items)

    @property
    def left(self) -> int:
        return len(self.items) - self.said

    @property
    def is_open(self) -> bool:
        """Whether origins may be shown: all are looked at, or people decided without the rest."""
        return self.is_concluded or (bool(self.items) and not self.left)

    def weigh(self) -> Weighed:
        """What the verdicts come to."""
        return weigh(
            self.arm(FLAGGED), self.arm(CONTROL), self.arm(BEFORE), Share(self.now.share, self.now.n_eff),
            Share(self.before.share, self.before.n_eff), is_whole=self.is_whole,
        )  # fmt: skip

    def item(self, position: int) -> ItemRow | None:
        return next((each for each in self.items if each.position == position), None)

    def next_for(self, user_id: int | None, now: datetime, *, after: Sequence[int] = ()) -> ItemRow | None:
        """The first that nobody said anything of and that no other person has on the screen, but those in `after`."""
        waiting = [each for each in self.items if not each.verdict and each.position not in after]
        free = (each for each in waiting if each.held_by_id is None or each.held_by_id == user_id)
        return next(free, None)


def get_deal(incident_id: int, round: int, now: datetime) -> Deal | None:
    """What was dealt; None where nothing was. Three queries."""
    report = ScopeReport.objects.filter(incident_id=incident_id, round=round, kind=REPORT).first()
    if report is None:
        return None
    rows = TriageItem.objects.filter(incident_id=incident_id, round=round).select_related("user", "by_key", "leased_by")
    concluded = IncidentStep.objects.filter(
        incident_id=incident_id, round=round, step="triage", finished_at__isnull=False
    ).exists()
    body: Mapping[str, Any] = report.body
    return Deal(
        made_at=report.made_at or report.asked_at,
        words=body.get("words", ""),
        monitor_id=body.get("monitor"),
        monitor_name=body.get("monitor_name", ""),
        is_whole=bool(body.get("is_whole")),
        lacking=body.get("lacking", ""),
        now=_drawn(body["now"]),
        before=_drawn(body["before"]),
        items=tuple(_item(row, now) for row in rows.order_by("position")),
        is_concluded=concluded,
    )


def find_item(incident_id: int, round: int, position: int, now: datetime) -> ItemRow | None:
    """One response that was dealt; None where there is none at this place. One query."""
    rows = TriageItem.objects.filter(incident_id=incident_id, round=round, position=position)
    row = rows.select_related("user", "by_key", "leased_by").first() if 0 < position < 2**15 else None
    return None if row is None else _item(row, now)


def as_json(drawn: Drawn) -> dict[str, Any]:
    """A stretch as it is kept."""
    return {
        "start": drawn.start.isoformat(), "end": drawn.end.isoformat(), "n": drawn.n, "flagged": drawn.flagged,
        "share": drawn.share, "n_eff": drawn.n_eff,
    }  # fmt: skip


def _drawn(told: Mapping[str, Any]) -> Drawn:
    start, end = datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"])
    return Drawn(start, end, told["n"], told["flagged"], told["share"], told["n_eff"])


def _item(row: TriageItem, now: datetime) -> ItemRow:
    is_held = row.leased_until is not None and row.leased_until > now and not row.verdict
    return ItemRow(
        position=row.position,
        origin=row.origin,
        trace_id=row.trace_id,
        span_id=row.span_id,
        pi=row.pi,
        verdict=row.verdict,
        user_id=row.user_id,
        who=_person(row.user) or (f"API key {row.by_key.name}" if row.by_key is not None else ""),
        decided_at=row.decided_at,
        note=row.note,
        held_by_id=row.leased_by_id if is_held else None,
        held_by=_person(row.leased_by) if is_held else "",
    )
