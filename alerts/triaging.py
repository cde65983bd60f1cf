"""Triage: is it real? Responses are dealt to people blind, flagged ones among others, and their verdicts are weighed.

Twenty flagged ones of the stretch out of limits, ten of the same stretch that are not flagged, ten that were flagged
before, in mixed order; which is which shows once all are looked at. A machine suggests, a person decides.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.http import HttpRequest

from alerts.alarming import NoAlarm
from alerts.alarming import acknowledge as acknowledge_alarm
from alerts.closing import close_as_false
from alerts.incidents import checks
from alerts.incidents.types import NOTE_MAX, NotThere, Step, Verdict, WrongState, ref_of
from alerts.models import Incident, IncidentMember, TriageItem
from alerts.moving import finish, holding, noted
from alerts.read.flagged import Flagged, FlaggedRow, Flagging, TooSlow, flagged_rows, flagging_of
from alerts.read.incidents import get_incident
from alerts.read.triage import BEFORE, CONTROL, FLAGGED, VERDICTS, Deal, Drawn, ItemRow, as_json, find_item, get_deal
from alerts.series.asked import SeriesFault
from alerts.stats.triage import ENOUGH
from alerts.write import triage as write
from alerts.write.incidents import put
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.lib.format import share as percent
from telltale.projects.models import Project
from traces.masks import mask_text

# "20 flagged responses" (docs/triage.md); the controls are as many together.
FLAGGED_MOST, CONTROLS_MOST, BEFORE_MOST = 20, 20, 10
# A response on somebody's screen is theirs so long; whoever reads longer loses nothing while nobody else takes it.
LEASE = timedelta(minutes=3)
# What is held for a person ahead, so that the next one stands ready.
AHEAD = 3
ITEM_NOTE_MAX = 1_000
# Where a stretch holds too much to be looked at in time, its end (or the baseline's) is.
_SHORTER = (None, timedelta(hours=24), timedelta(hours=2), timedelta(minutes=10))
_TIMEOUT_MS = 4_000


class TakenBy(Exception):
    """Another person said something of this response before; nothing of it is overwritten."""

    def __init__(self, who: str, verdict: str) -> None:
        super().__init__(f"{who} said {verdict}")
        self.who = who
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Said:
    """What became of a verdict: positions held for the person next, and how many are left of how many."""

    ahead: tuple[int, ...]
    left: int
    dealt: int


def deal(
    project: Project, number: int, *, user: User | None, request: HttpRequest | None = None, actor: str = ""
) -> Deal:
    """Deal the responses of an incident's round; what was dealt stays, and is filled up where more has come since.

    NotThere, WrongState where it is over. Looks at traffic before it locks anything.
    """
    found = get_incident(project.pk, number)
    if found is None:
        raise NotThere
    if not found.is_going:
        raise WrongState(f"{ref_of(number)} is {found.state}: nothing more is dealt.")
    now = clock.now()
    old = get_deal(found.id, found.round, now)
    by = flagging_of(project.pk, found.id, now=now)
    seed = secrets.randbits(62)
    held = {each.trace_id for each in old.items} if old is not None else set()
    drawn = _draw(by, seed, held, old)
    with holding(project, number) as incident:
        if incident.round == found.round:
            _add(project, incident, by, drawn, seed, now, user=user, request=request, actor=actor)
        told = get_deal(incident.pk, incident.round, clock.now())
    if told is None:
        raise WrongState(f"{ref_of(number)} was opened again meanwhile: deal once more.")
    return told


@dataclass(frozen=True, slots=True)
class _Draw:
    now: Flagged
    before: Flagged
    picked: tuple[tuple[str, FlaggedRow, float], ...]
    lacking: str


def _draw(by: Flagging, seed: int, held: set[Any], old: Deal | None) -> _Draw:
    """What is missing of a deal: flagged ones of now, of before, and unflagged ones."""
    have = {origin: old.arm(origin).dealt if old is not None else 0 for origin in (FLAGGED, CONTROL, BEFORE)}
    want = FLAGGED_MOST - have[FLAGGED]
    now = _look(by, by.start, by.end, want, seed, True, held)
    picked = [(FLAGGED, row, _chance(row, FLAGGED_MOST, now.weight)) for row in now.rows]
    taken = held | {row.trace_id for row in now.rows}
    most = CONTROLS_MOST if by.is_whole else BEFORE_MOST
    before = _look(by, by.before_start, by.before_end, most - have[BEFORE], seed, True, taken)
    if not before.n and by.before_end < by.start:
        # Retention took the baseline's traces: the days just before are the nearest to it.
        before = _look(by, by.start - timedelta(days=7), by.start, most - have[BEFORE], seed, True, taken)
    picked += [(BEFORE, row, _chance(row, most, before.weight)) for row in before.rows]
    taken |= {row.trace_id for row in before.rows}
    if not by.is_whole:
        want = CONTROLS_MOST - have[CONTROL] - have[BEFORE] - len(before.rows)
        rest = _look(by, now.start, now.end, want, seed, False, taken)
        picked += [(CONTROL, row, _chance(row, CONTROLS_MOST, rest.weight_all - rest.weight)) for row in rest.rows]
    lacking = ""
    if not now.n:
        lacking = "No response of these hours is stored: retention took them, or none came."
    elif not now.flagged:
        lacking = f"None of {now.n:,} responses of these hours {by.words}."
    return _Draw(now, before, tuple(picked), lacking)


def _look(
    by: Flagging, start: datetime, end: datetime, limit: int, seed: int, flagged: bool, without: set[Any]
) -> Flagged:
    """Responses of a stretch, of its end where all of it are too many to look at in time."""
    for span in _SHORTER:
        first = start if span is None else max(start, end - span)
        try:
            return flagged_rows(
                by, first, end, max(limit, 0), wanted=(flagged,), without=without, seed=seed, by_weight=True,
                timeout_ms=_TIMEOUT_MS,
            )  # fmt: skip
        except TooSlow:
            continue
        except SeriesFault:
            break
    return Flagged(start, end, 0, 0, None, 0.0, 0.0, 0.0, ())


def _chance(row: FlaggedRow, most: int, weight: float) -> float:
    """The chance that a response of all traffic was dealt: drawn by weight, each speaks for as many."""
    return max(min(row.pi, most / weight if weight > 0 else 1.0), 1e-9)


def _add(
    project: Project,
    incident: Incident,
    by: Flagging,
    drawn: _Draw,
    seed: int,
    now: datetime,
    *,
    user: User | None,
    request: HttpRequest | None,
    actor: str,
) -> None:
    old = get_deal(incident.pk, incident.round, now)
    held = {(each.trace_id, each.span_id) for each in old.items} if old is not None else set()
    room = {
        FLAGGED: FLAGGED_MOST - (old.arm(FLAGGED).dealt if old else 0),
        BEFORE: (CONTROLS_MOST if by.is_whole else BEFORE_MOST) - (old.arm(BEFORE).dealt if old else 0),
        CONTROL: CONTROLS_MOST - (old.arm(CONTROL).dealt + old.arm(BEFORE).dealt if old else 0),
    }
    picked = []
    for origin, row, pi in drawn.picked:
        if (row.trace_id, row.span_id) not in held and room[origin] > 0:
            held.add((row.trace_id, row.span_id))
            room[origin] -= 1
            picked.append((origin, row, pi))
    if old is not None and not picked:
        return
    random.Random(seed).shuffle(picked)  # noqa: S311 - an order, no secret
    last = TriageItem.objects.filter(incident=incident, round=incident.round).aggregate(Max("position"))
    first = (last["position__max"] or 0) + 1
    write.add_items(
        [
            TriageItem(
                incident=incident, round=incident.round, position=first + at, origin=origin, trace_id=row.trace_id,
                span_id=row.span_id, pi=pi,
            )
            for at, (origin, row, pi) in enumerate(picked)
        ]
    )  # fmt: skip
    body = {
        "words": by.words, "monitor": by.monitor_id, "monitor_name": by.monitor_name, "is_whole": by.is_whole,
        "lacking": drawn.lacking, "seed": seed, "now": as_json(_kept(drawn.now)),
        "before": as_json(_kept(drawn.before)),
    }  # fmt: skip
    write.put_report(incident, body, now)
    put(incident)
    words = f"dealt {len(picked)} responses to look at"
    noted(
        project, incident, "noted", user=user, actor=actor, request=request, facts={"words": words},
        action="incident.deal", after={"dealt": len(picked), "words": by.words},
    )  # fmt: skip


def _kept(found: Flagged) -> Drawn:
    return Drawn(found.start, found.end, found.n, found.flagged, found.share, found.n_eff)


def say(
    project: Project,
    number: int,
    position: int,
    verdict: str,
    *,
    user: User | None,
    key_id: int | None = None,
    note: str | None = None,
) -> Said:
    """Say of one response that it is a real failure, a false alarm, or that one cannot tell; one's own may be changed.

    The next ones are held for the person. ItemRefused, NotThere, WrongState; TakenBy where another said it before.
    """
    found = get_incident(project.pk, number)
    if found is None:
        raise NotThere
    faults = []
    if verdict not in VERDICTS:
        faults.append(Fault("verdict", "is not accepted", f"one of {', '.join(VERDICTS)}", str(verdict)[:120]))
    if faults:
        raise ItemRefused(*faults)
    told = None if note is None else mask_text(project.pk, checks.text("note", note, ITEM_NOTE_MAX))
    if not found.is_going:
        raise WrongState(f"{ref_of(number)} is {found.state}: its responses are decided.")
    now = clock.now()
    by = _by(user, key_id)
    if not 0 < position < 2**15 or not write.decide(
        found.id, found.round, position, verdict, by=by, now=now, note=told
    ):
        item = _item(found.id, found.round, position, now)
        raise TakenBy(item.who or "A key", item.verdict)
    return _ahead(found.id, found.round, by.user_id, now)


def hold(project: Project, number: int, *, user: User) -> Said:
    """Hold the next responses for a person, so that two do not read the same. NotThere, WrongState."""
    found = get_incident(project.pk, number)
    if found is None:
        raise NotThere
    if not found.is_going:
        raise WrongState(f"{ref_of(number)} is {found.state}: its responses are decided.")
    return _ahead(found.id, found.round, user.pk, clock.now())


def _by(user: User | None, key_id: int | None) -> write.By:
    return write.By(user_id=user.pk) if user is not None else write.By(key_id=key_id)


def take_back(project: Project, number: int, position: int, *, user: User | None, key_id: int | None = None) -> None:
    """Take back what one said of a response. NotThere; WrongState where one said nothing of it, or it is over."""
    found = get_incident(project.pk, number)
    if found is None:
        raise NotThere
    if not found.is_going:
        raise WrongState(f"{ref_of(number)} is {found.state}: its responses are decided.")
    if not 0 < position < 2**15 or not write.undo(found.id, found.round, position, by=_by(user, key_id)):
        _item(found.id, found.round, position, clock.now())
        raise WrongState("You said nothing of this response.")


def conclude(
    project: Project,
    number: int,
    verdict: str,
    note: str = "",
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> None:
    """Decide whether it is real. A false alarm closes it and counts in its monitors' record.

    A reason is needed where fewer than `ENOUGH` flagged responses were decided. ItemRefused, NotThere, Outdated,
    WrongState.
    """
    if verdict not in tuple(Verdict):
        limit = f"one of {', '.join(Verdict)}"
        raise ItemRefused(Fault("verdict", "is not accepted", limit, str(verdict)[:120]))
    told = mask_text(project.pk, checks.text("note", note, NOTE_MAX))
    with holding(project, number, version=version) as incident:
        now = clock.now()
        found = get_deal(incident.pk, incident.round, now)
        decided = found.arm(FLAGGED).decided if found is not None else 0
        dealt = found.arm(FLAGGED).dealt if found is not None else 0
        # Where none could be dealt nobody has looked at anything.
        if not told and decided < (min(ENOUGH, dealt) or ENOUGH):
            limit = f"a reason, or verdicts on {ENOUGH} flagged responses (there are {decided})"
            raise ItemRefused(Fault("note", "is needed", limit))
        outcome = outcome_of(found, verdict, told)
        if verdict == Verdict.FALSE:
            close_as_false(project, incident, told, outcome, user=user, request=request, actor=actor)
            return
        before = incident.verdict
        put(incident, verdict=verdict)
        finish(project, incident, Step.TRIAGE, outcome, user=user, request=request, actor=actor)
        if before != verdict:
            noted(
                project, incident, "verdict", user=user, actor=actor, request=request,
                facts={"verdict": verdict, "words": "a real regression"}, before={"verdict": before},
                after={"verdict": verdict, "note": told},
            )  # fmt: skip
        _acknowledge_alarms(project, incident, user=user, request=request, actor=actor)


def outcome_of(found: Deal | None, verdict: str, note: str) -> dict[str, Any]:
    """What triage came to, as its page and the summary show it."""
    outcome: dict[str, Any] = {"verdict": verdict, "note": note}
    words = "Real regression" if verdict == Verdict.REAL else "False alarm"
    if found is not None and found.said:
        arm, weighed = found.arm(FLAGGED), found.weigh()
        outcome |= {
            "dealt": arm.dealt, "real": arm.real, "false": arm.false, "unsure": arm.unsure,
            "control_real": found.arm(CONTROL).real, "control_decided": found.arm(CONTROL).decided,
            "before_real": found.arm(BEFORE).real, "before_decided": found.arm(BEFORE).decided,
            "suggestion": weighed.suggestion,
        }  # fmt: skip
        if weighed.confirmed is not None:
            low, high = weighed.confirmed.low, weighed.confirmed.high
            words += f": {arm.real} of {arm.decided} flagged responses are real failures"
            words += f" (95% interval {percent(low)} to {percent(high)})"
            outcome |= {"low": low, "high": high}
    else:
        words += ", decided without looking at responses"
    return {**outcome, "words": f"{words}. {note}" if note else words}


def _ahead(incident_id: int, round: int, user_id: int | None, now: datetime) -> Said:
    ahead: Sequence[int] = ()
    if user_id is not None:
        ahead = write.lease(incident_id, round, user_id, now, now + LEASE, AHEAD)
    rows = TriageItem.objects.filter(incident_id=incident_id, round=round)
    dealt, left = rows.count(), rows.filter(verdict="").count()
    return Said(tuple(ahead), left, dealt)


def _item(incident_id: int, round: int, position: int, now: datetime) -> ItemRow:
    item = find_item(incident_id, round, position, now)
    if item is None:
        raise NotThere
    return item


def _acknowledge_alarms(
    project: Project, incident: Incident, *, user: User | None, request: HttpRequest | None, actor: str
) -> None:
    """Its alarms are seen: they go on until they end, and are called real when the incident closes."""
    refs = IncidentMember.objects.filter(incident=incident, kind="alarm", over_at=None).values_list("ref", flat=True)
    for ref in sorted(refs):
        try:
            acknowledge_alarm(project, ref, user, request=request, actor=actor)
        except NoAlarm:
            continue
