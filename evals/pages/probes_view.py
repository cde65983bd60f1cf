"""What the pages of probes say: states, verdicts and what moved, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.urls import reverse

from evals.probes.verdicts import ANSWERS, PASSES, RECENT, TOGETHER, WATCH_PASSES
from evals.read.probing import AlarmView, ResultView, SeriesView, SuiteView
from telltale.lib import format as fmt
from traces.read.changelog import Change

# Worst first: state -> ribbon, word.
STATES = {
    "changed": ("bad", "Changed"), "unanswered": ("none", "No answers"), "watch": ("watch", "Watch"),
    "learning": ("none", "Learning"), "same": ("ok", "Same"),
}  # fmt: skip
ORDER = {state: at for at, state in enumerate(STATES)}
TESTS = {"exact binomial": "exact binomial test", "Fisher": "Fisher’s exact test"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One run of a series in the list: passes, the class that colours it, what it says to a pointer."""

    text: str
    css: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A probe at a model in the list. `of`: of how many answers each cell is, "20, then 10" where that changed."""

    series: SeriesView
    href: str
    cells: tuple[Cell, ...]
    of: str
    p: str
    ribbon: str
    word: str
    note: str


@dataclass(frozen=True, slots=True)
class AlarmNote:
    """An alarm as the pages tell it: the headline, what moved, whose side it is on."""

    alarm: AlarmView
    headline: str
    finding: str
    more: tuple[str, ...]
    side: str
    compare_href: str


def p_words(p: float | None) -> str:
    """ "0.008", "0.00002", "< 0.00001", "unknown": two digits that say something."""
    if p is None:
        return fmt.UNKNOWN
    if p >= 0.095:
        return f"{p:.2f}"
    if p < 1e-5:
        return "< 0.00001"
    places = 2
    while p * 10**places < 1:
        places += 1
    return f"{p:.{places + (p * 10**places < 3)}f}"


def p_is(p: float) -> str:
    """ "p = 0.008", "p < 0.00001"."""
    words = p_words(p)
    return f"p {words}" if words.startswith("<") else f"p = {words}"


def day_words(at: datetime, zone: ZoneInfo) -> str:
    """ "18 Nov"."""
    own = at.astimezone(zone)
    return f"{own.day} {own:%b}"


def never_passed(series: SeriesView) -> bool:
    """Whether no answer shown, and none of the baseline, ever passed: such a probe cannot fall."""
    told = [each for each in series.results if each.runs]
    return bool(told) and not any(each.passes or each.base_passes for each in told)


def only_answers(series: SeriesView, alarms: Sequence[AlarmView]) -> bool:
    """Whether an open alarm is about how the model answers, and not about how often this probe passes."""
    if series.state != "changed" or series.last is None:
        return False
    kinds = {
        told["kind"] for each in alarms if each.target.id == series.target.id for told in each.evidence
        if told.get("series") in (None, series.id)
    }  # fmt: skip
    # Passes of all probes together are about this one where it would be watched for them.
    moved = kinds & {PASSES, RECENT} or (TOGETHER in kinds and (series.last.p or 0.0) <= WATCH_PASSES)
    return ANSWERS in kinds and not moved


def line_of(slug: str, series: SeriesView, zone: ZoneInfo, alarms: Sequence[AlarmView] = ()) -> Line:
    """A probe at a model, ready for the list. `alarms`: those open."""
    ribbon, word = STATES[series.state]
    last = series.last
    notes = [] if series.version == series.newest_version else ["an older question"]
    is_answers = only_answers(series, alarms)
    if is_answers and last is not None:
        word = "Answers changed"
        notes.append(f"{_as_before(last)}; the answers of this model changed")
    if never_passed(series):
        notes.append("never passed, so it can tell nothing of a fall")
        if series.state in ("same", "learning"):
            ribbon, word = "watch", "Never passed"
    return Line(
        series, reverse("probe", args=[slug, series.id]),
        tuple(_cell(each, zone, is_answers) for each in series.results), _of(series.results),
        "–" if last is None or last.p is None else p_words(last.p), ribbon, word, "; ".join(notes),
    )  # fmt: skip


def _as_before(result: ResultView) -> str:
    """How passes that did not move stand to the baseline's."""
    is_same = result.passes * (result.base_runs or 0) == (result.base_passes or 0) * result.runs
    return "passes are the same" if is_same else "passes differ within chance"


def _of(results: Sequence[ResultView]) -> str:
    """The numbers of answers of runs, oldest first: "10"; "20, then 10"; "8 to 20" where they change more often."""
    found: list[int] = []
    for each in results:
        if each.runs and each.runs != (found[-1] if found else 0):
            found.append(each.runs)
    return f"{min(found)} to {max(found)}" if len(found) > 3 else ", then ".join(map(str, found))


def _cell(result: ResultView, zone: ZoneInfo, is_answers: bool = False) -> Cell:
    day = day_words(result.at, zone)
    if not result.runs:
        return Cell("–", "n", f"Run {result.run_number}, {day}: no answer that could be told")
    is_red = result.state == "changed" and not is_answers
    css = "x" if is_red else "n" if result.passes < result.runs else ""
    more = "; the answers changed" if result.state == "changed" and is_answers else ""
    return Cell(
        f"{result.passes}", css, f"Run {result.run_number}, {day}: {result.passes} of {result.runs} passed{more}"
    )  # fmt: skip


def headline(suite: SuiteView, lines: Sequence[Line], alarms: Sequence[AlarmNote]) -> str:
    """The suite in one sentence."""
    if alarms:
        more = f", and {len(alarms) - 1} more model{'s' if len(alarms) > 2 else ''} did" if len(alarms) > 1 else ""
        return alarms[0].headline + more
    if suite.last is None or not lines:
        return f"{suite.name} has not run yet"
    counts = {state: sum(line.series.state == state for line in lines) for state in STATES}
    models = len({line.series.target.id for line in lines})
    whose = "The model answers" if models == 1 else f"All {models} models answer"
    if counts["unanswered"]:
        return f"{counts['unanswered']} of {len(lines)} probes got no answers in the last run"
    if counts["watch"]:
        n = counts["watch"]
        return f"{n} of {len(lines)} probes {'is' if n == 1 else 'are'} a little off, within chance"
    if counts["learning"] == len(lines):
        return "The first answers are kept: the next run is compared with them"
    never = sum(never_passed(line.series) for line in lines)
    but = f"; {never} probe{'s' if never > 1 else ''} never passed and can tell nothing of a fall" if never else ""
    return f"{whose} as before{but}"


def alarm_note(
    slug: str, alarm: AlarmView, series: Sequence[SeriesView], changes: Sequence[Change], zone: ZoneInfo
) -> AlarmNote:
    """An alarm with what moved, in words. `series`: of the suite, with their results; `changes`: recorded before it."""
    own = {one.id: one for one in series if one.target.id == alarm.target.id}
    found = {key: _at(one, alarm.run_number) for key, one in own.items()}
    said = [_evidence(each, own, found) for each in alarm.evidence]
    said = [each for each in said if each]
    key = next((key for key, _ in alarm.series if key in own), None)
    href = "" if key is None else f"{reverse('probe', args=[slug, key])}?run={alarm.run_number}#then-now"
    return AlarmNote(
        alarm, _alarm_headline(alarm, [each for each in found.values() if each], own.values(), zone),
        said[0] if said else "Its answers differ from the baseline beyond chance.", tuple(said[1:]),
        _side(alarm, series, changes), href,
    )  # fmt: skip


def _at(series: SeriesView, run_number: int) -> ResultView | None:
    return next((each for each in series.results if each.run_number == run_number), None)


def _alarm_headline(alarm: AlarmView, results: Sequence[ResultView], series: Any, zone: ZoneInfo) -> str:
    names = sorted({name for each in results for name in each.models})
    before = {
        name for one in series for each in one.results if each.run_number < alarm.run_number for name in each.models
    }
    new = [name for name in names if name not in before]
    how = f"and now calls itself {', '.join(new)}" if before and new else "without a new version name"
    return f"{alarm.target.model} changed on {day_words(alarm.run_at, zone)} {how}"


def _evidence(told: Mapping[str, Any], own: Mapping[int, SeriesView], found: Mapping[int, ResultView | None]) -> str:
    needs = f"{p_is(told['p'])}; an alarm needs {p_words(told['level'])}"
    key = told.get("series")
    one, result = (own.get(key), found.get(key)) if isinstance(key, int) else (None, None)
    if told["kind"] in (PASSES, RECENT) and one is not None and result is not None:
        before = f"its baseline passed {result.base_passes} of {result.base_runs}"
        test = TESTS.get(str(result.figures.get("test")), "exact test")
        if told["kind"] == PASSES:
            passed = f"{one.probe} passed {result.passes} of {result.runs} runs"
        else:
            recent = result.figures.get("recent") or {}
            passed = f"{one.probe} passed {recent.get('passes')} of {recent.get('runs')} over the last runs"
        return f"{passed}; {before} ({needs}; {test})."
    if told["kind"] == TOGETHER:
        return f"Taken together, its probes pass less often than before ({needs}; exact test with fixed margins)."
    if told["kind"] == ANSWERS:
        return f"Its answers lie farther from the first ones than those lie from each other ({needs}; permutation)."
    return ""


def _side(alarm: AlarmView, series: Sequence[SeriesView], changes: Sequence[Change]) -> str:
    """Whose change it may be: other models, and what people recorded, tell."""
    others = {one.target.id: one.state for one in series if one.target.id != alarm.target.id}
    moved = {one.target.id for one in series if one.state == "changed" and one.target.id != alarm.target.id}
    said = []
    if others and not moved:
        n = len(others)
        said.append(f"The other {f'{n} models are' if n > 1 else 'model is'} unchanged.")
    elif moved:
        whose = f"{len(moved)} of the other {len(others)} models" if len(others) > 1 else "The other model"
        said.append(f"{whose} changed too.")
    if changes:
        titles = ", ".join(change.title for change in changes[:3])
        said.append(f"Recorded between the two runs: {titles}. Look there first.")
    else:
        said.append("The question is the same, and no change of yours was recorded between the two runs: "
                    "the change is likely on the provider’s side.")  # fmt: skip
    return " ".join(said)


def state_sentence(series: SeriesView, alarms: Sequence[AlarmView] = ()) -> str:
    """How a probe stands at a model, in one sentence or two. `alarms`: those open."""
    never = " It never passed, so it can tell nothing of a fall." if never_passed(series) else ""
    return _stands(series, alarms) + never


def _stands(series: SeriesView, alarms: Sequence[AlarmView]) -> str:
    last = series.last
    if last is None:
        return "It was not asked yet."
    base = f"its baseline passed {last.base_passes} of {last.base_runs}"
    passed = f"It passed {last.passes} of {last.runs} in run {last.run_number}"
    if series.state == "learning":
        return f"{passed}. It is still learning: {last.base_runs or 0} runs were stored before, and 20 are needed."
    if series.state == "unanswered":
        return f"Run {last.run_number} got {last.runs} answers that could be told; five are needed to compare."
    if only_answers(series, alarms):
        return f"{passed}; {base}: {_as_before(last)}. It is the answers of this model that changed beyond chance."
    limit = last.figures.get("fewest")
    chance = "" if limit is None else f" Chance explains {limit} or more passes." if limit else (
        " No number of passes of one run could alarm at this budget: use more repeats.")  # fmt: skip
    ends = {
        "changed": f"{passed}; {base}. That is beyond chance.",
        "watch": f"{passed}; {base}. That is a little off, and within chance.{chance}",
        "same": f"{passed}; {base}.{chance}",
    }
    return ends[series.state]
