"""The questions answered in sentences: what the monitors say, by how much, since when, and what nobody knows. Pure.

"began with", "after", "coincides with": what came before something is named, and never called its cause.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.monitors.states import UNJUDGED, Method, Standing
from alerts.pages import units
from alerts.pages import words as monitor_words
from alerts.read.alarms import AlarmRow
from alerts.read.shown import Shown
from alerts.stats.shift import Shift
from telltale.lib import format as fmt
from telltale.web.front import words
from telltale.web.front.reading import is_noted, is_wrong
from telltale.web.front.values import Asked, Seen
from traces.read.changelog import Change

# A change so long before the first window of an alarm is named beside it.
SUSPECT_MOST = timedelta(days=1)
NAMED_MOST = 3
_SILENT = frozenset({"no data", "silence"})
_WAITING = {
    Standing.LEARNING: ("is still learning", "are still learning"),
    Standing.NO_DATA: ("has no data", "have no data"),
    Standing.TOO_LITTLE: ("has too little data", "have too little data"),
    Standing.STALE: ("needs a new baseline", "need a new baseline"),
    Standing.UNSTABLE: ("found no steady stretch to learn from", "found no steady stretch to learn from"),
    Standing.BROKEN: ("cannot be evaluated", "cannot be evaluated"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of one question. `state`: ok, watch, bad or none; `is_known`: the monitors could answer."""

    state: str
    word: str
    sentence: str
    detail: str
    is_known: bool = True


@dataclass(frozen=True, slots=True)
class Sight:
    """What an answer is given by: the time, the change log, and since when the engine stands still (None: it runs)."""

    zone: ZoneInfo
    now: datetime
    changes: Sequence[Change]
    stands_since: datetime | None = None


def answer(asked: Asked, sight: Sight) -> Said | None:
    """What the monitors of a question say; None where it has none."""
    lead = asked.lead
    if lead is None:
        return None
    wrong = [each for each in asked.monitors if is_wrong(each, sight.now)]
    if wrong:
        return _wrong(asked, lead, wrong, sight)
    noted = [each for each in asked.monitors if is_noted(each, sight.now)]
    judged = [each for each in asked.monitors if is_judged(each)]
    if noted:
        return _noted(asked, lead, judged, sight)
    return _fine(asked, lead, judged, sight) if judged else _unknown(asked, lead)


def is_judged(monitor: Shown) -> bool:
    """Whether its limits have judged something and found nothing."""
    return monitor.standing is Standing.IN_CONTROL and monitor.standing_words != UNJUDGED


def prefix(yes_is_good: bool | None, *, is_good: bool) -> str:
    """The first word: "Yes" or "No" where it is known what they say, else what is so."""
    if yes_is_good is None:
        return "In range" if is_good else "Out of limits"
    return "Yes" if yes_is_good is is_good else "No"


def _wrong(asked: Asked, lead: Seen, wrong: Sequence[Shown], sight: Sight) -> Said:
    first = prefix(asked.question.yes_is_good, is_good=False)
    is_seen = all(each.standing is Standing.ACKNOWLEDGED for each in wrong)
    is_fixed = lead.shown.method in {Method.FIXED, Method.OBJECTIVE}
    word = "Out, seen" if is_seen else "Over limit" if is_fixed else "Out of limits"
    parts = [_size(lead, sight), _others(asked, lead, wrong)]
    return Said("bad", word, _moved(lead, first, sight), " ".join(part for part in parts if part))


def _moved(lead: Seen, first: str, sight: Sight) -> str:
    """ "Yes, in returns: score for correctness fell from 4.31 to 3.76, 50 min after prompt v18."."""
    alarm, place = lead.alarm, words.place(lead.about.scope)
    where = f",{place}" if place else ""
    if alarm is None:
        since = words.moment(lead.shown.standing_since, sight.zone, sight.now)
        return f"{first}{where}: {words.series(lead)} is out of its limits since {since}."
    since = words.moment(alarm.window_start, sight.zone, sight.now)
    if alarm.rule in _SILENT:
        return f"Nothing to judge by{where}: {words.series(lead)} has had no data since {since}."
    if lead.shown.method is Method.COMPOSITE:
        return f"{first}{where}: several signs moved together since {since} ({words.series(lead)})."
    after = after_words(lead, sight)
    shift = lead.size
    if isinstance(shift, Shift) and not shift.low <= 0 <= shift.high:
        unit = words.unit_of(lead)
        verb = "rose" if shift.value > 0 else "fell"
        values = f"from {unit.text(shift.before)} to {unit.text(shift.after)}"
        return f"{first}{where}: {words.series(lead)} {verb} {values}{after or f' since {since}'}."
    # "its" would be wrong of "errors".
    happened = monitor_words.happened(alarm.rule, alarm.direction).replace(" its ", " the ")
    return f"{first}{where}: {words.series(lead)} {happened}{after or f' at {since}'}."


def after_words(lead: Seen, sight: Sight) -> str:
    """ ", 50 min after prompt v18": the last change of its part of the project shortly before it; "" without one."""
    change = suspect(lead, sight.changes)
    if change is None or lead.alarm is None:
        return ""
    if change.at >= lead.alarm.window_start:
        return f", in the same window as {fmt.visible(change.label)}"
    return f", {words.lag(lead.alarm.window_start - change.at)} after {fmt.visible(change.label)}"


def suspect(lead: Seen, changes: Sequence[Change]) -> Change | None:
    """The last change that touches what a monitor watches, at most a day before its alarm's first window ended."""
    if lead.alarm is None:
        return None
    since = lead.alarm.window_start - SUSPECT_MOST
    near = [each for each in changes if since <= each.at < lead.alarm.window_end and touches(each, lead)]
    return max(near, key=lambda each: (each.at, each.id), default=None)


def touches(change: Change, seen: Seen) -> bool:
    """Whether a change is of the part of the project that a monitor looks at; one that names no part is of all."""
    scope = dict(seen.about.scope.values)
    parts = (("feature", change.feature), ("service", change.service), ("environment", change.environment))
    return all(not value or name not in scope or value in scope[name] for name, value in parts)


def _size(lead: Seen, sight: Sight) -> str:
    """ "A drop of 0.56 (95% CI 0.38–0.74) since today 09:00, n = 101."."""
    alarm, shift = lead.alarm, lead.size
    if alarm is None:
        return ""
    since = words.moment(alarm.window_start, sight.zone, sight.now)
    if not isinstance(shift, Shift):
        return _now(lead, since)
    by = units.difference(lead.metric)
    if shift.low <= 0 <= shift.high:
        return f"How much is not yet clear. {_now(lead, since)}"
    low, high = sorted((abs(shift.low), abs(shift.high)))
    what = "rise" if shift.value > 0 else "drop"
    n = f"{shift.n:,.0f}"
    return f"A {what} of {by(shift.value)} (95% CI {by(low)}{fmt.EN_DASH}{by(high)}) since {since}, n = {n}."


def _now(lead: Seen, since: str) -> str:
    """ "Now 5.4% (n = 92), expected under 1.0%; since today 09:00."."""
    last, unit = lead.last, words.unit_of(lead)
    if last is None or last.value is None:
        return f"Since {since}."
    band = units.band(unit, last.shown_low, last.shown_high, "")
    return f"Now {unit.text(last.value)} (n = {last.n:,}){f', expected {band}' if band else ''}; since {since}."


def _others(asked: Asked, lead: Seen, wrong: Sequence[Shown]) -> str:
    """What the question's other monitors say."""
    also = [each for each in wrong if each.id != lead.shown.id]
    parts = []
    if also:
        named = words.listed([f"“{fmt.visible(each.name)}”" for each in also[:NAMED_MOST]])
        more = f" and {len(also) - NAMED_MOST} more" if len(also) > NAMED_MOST else ""
        parts.append(f"Also out: {named}{more}.")
    parts.append(_rest(asked.monitors, {each.id for each in wrong}))
    return " ".join(part for part in parts if part)


def _rest(monitors: Sequence[Shown], wrong: set[int]) -> str:
    """ "3 others are within their limits, 2 are still learning.": of those that are not out."""
    quiet = [each for each in monitors if each.id not in wrong]
    fine = sum(is_judged(each) for each in quiet)
    parts = []
    if fine:
        parts.append(
            f"{fine} {'other is' if fine == 1 else 'others are'} within {'its' if fine == 1 else 'their'} limits"
        )
    parts += _waiting([each for each in quiet if not is_judged(each)])
    return f"{'; '.join(parts)}." if parts else ""


def _waiting(monitors: Sequence[Shown]) -> list[str]:
    counted: Counter[Standing] = Counter(
        Standing.LEARNING if each.standing is Standing.IN_CONTROL else each.standing for each in monitors
    )
    return [
        f"{counted[standing]} {said[0] if counted[standing] == 1 else said[1]}"
        for standing, said in _WAITING.items()
        if counted[standing]
    ]


def _noted(asked: Asked, lead: Seen, judged: Sequence[Shown], sight: Sight) -> Said:
    """Out, but nothing that calls anybody: a notice, or a monitor that people muted."""
    why = "it is muted" if lead.shown.is_muted(sight.now) else "a notice"
    sentence = f"Nothing that pages. {_upper(_moved(lead, '', sight).removeprefix(', ').removeprefix(': '))}"
    parts = [_size(lead, sight), f"It calls nobody: {why}."]
    if judged:
        parts.append(f"{words.plural(len(judged), 'other monitor')} within limits.")
    return Said("watch", "Notice", sentence, " ".join(part for part in parts if part))


def _fine(asked: Asked, lead: Seen, judged: Sequence[Shown], sight: Sight) -> Said:
    whole = len(asked.monitors)
    first = prefix(asked.question.yes_is_good, is_good=True)
    if len(judged) < whole:
        first += ", as far as is watched"
    last, unit = lead.last, words.unit_of(lead)
    if last is not None and last.value is not None and lead.metric is not None:
        band = units.band(unit, last.shown_low, last.shown_high, "")
        value = last.value if last.shown_level is None else last.shown_level
        said = f"{words.series(lead)}{words.place(lead.about.scope)} at {unit.text(value)}"
        sentence = f"{first}: {said}{f', expected {band}' if band else ', within its limits'}."
    else:
        sentence = f"{first}: {words.plural(len(judged), 'monitor')} within limits."
    parts = [
        f"{len(judged)} of {whole} monitors within limits" if whole > 1 else "The one monitor is within its limits"
    ]
    parts += _waiting([each for each in asked.monitors if not is_judged(each)])
    detail = f"{'; '.join(parts)}."
    if sight.stands_since is not None:
        since = words.moment(sight.stands_since, sight.zone, sight.now)
        return Said("watch", "Not current", f"Not known since {since}. Before: {sentence}", detail, is_known=False)
    return Said("ok", "In range", sentence, detail)


def _unknown(asked: Asked, lead: Seen) -> Said:
    """There are monitors, and none of them can say anything."""
    ribbon, word = monitor_words.standing(lead.shown.standing, lead.shown.standing_words, is_on=True)
    parts = _waiting(asked.monitors)
    whole = len(asked.monitors)
    said = "; ".join(parts)
    sentence = (
        f"Not known yet: {said.replace('1 ', 'its monitor ', 1) if whole == 1 else f'of {whole} monitors {said}'}."
    )
    says = monitor_words.says(lead.shown.standing, lead.shown.standing_words, lead.shown.error)
    detail = f"“{fmt.visible(lead.shown.name)}”: {fmt.visible(says)}{'' if says.endswith('.') else '.'}"
    return Said("none" if ribbon == "ok" else ribbon, word, sentence, detail, is_known=False)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]


def began(alarm: AlarmRow | None, shown: Shown) -> datetime:
    """From when something is wrong: the first window out of its limits."""
    return alarm.window_start if alarm is not None else shown.standing_since
