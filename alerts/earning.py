"""What each monitor earned in 90 days, and which may be retired or merged: worked out in the night, or when asked.

The figures are `alerts.stats.pareto`; here they are gathered, kept as one report of the project, and turned into
proposals. A machine proposes, a person decides: nothing is switched off here.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction

from alerts import budgeting
from alerts.monitors.states import Method
from alerts.questions.pillars import Pillar
from alerts.questions.settings import VIEW_MINUTES
from alerts.read import evidence
from alerts.read.alarms import tallies
from alerts.read.monitors import get_budget
from alerts.read.questions import list_questions, read_about
from alerts.read.shown import Shown, list_shown
from alerts.read.worth import get_worths, monitor_params
from alerts.stats import budget, pareto, redundancy
from alerts.write import questions as write
from evals.read.spend import spend_of_judges
from telltale.lib import clock
from telltale.lib.logs import describe_error
from telltale.projects.models import Project

logger = logging.getLogger("telltale.alerts")

PERIOD = timedelta(days=90)
# Of more monitors the pairs alone would be five thousand.
COMPARED_MOST = 100
# Two that go together so closely say the same, incidents or none.
TWINS_OVER = 0.95
# A refused proposal is not made again for so long.
REFUSED_DAYS = 90
PICO = 10**12


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a monitor is proposed: `kind` retire or merge, into which, and the reasons in words."""

    kind: str
    into: int | None
    words: tuple[str, ...]


def report(project: Project) -> dict[str, Any]:
    """Make the report of a project and its proposals, and keep both. The report, as pages and REST show it."""
    now = clock.now()
    body = _worked_out(project, now)
    with transaction.atomic():
        write.put_report(project.pk, body, now)
        _propose(project.pk, body, now)
    return body


def due(limit: int = 20) -> list[Project]:
    """Projects whose report somebody asked for, or that have monitors and none of today's."""
    return list(Project.objects.filter(pk__in=write.claim_reports(clock.now(), limit)).order_by("pk"))


def report_due(limit: int = 20) -> int:
    """Make the reports that are due; how many."""
    made = 0
    for project in due(limit):
        try:
            report(project)
            made += 1
        except Exception as error:  # one project must never cost the others their reports; it is logged and shown
            logger.error("the report of project %s could not be made", project.pk, exc_info=error)
            write.fail_report(project.pk, f"it could not be made ({describe_error(error)['error']})")
    return made


def _worked_out(project: Project, now: datetime) -> dict[str, Any]:
    start = now - PERIOD
    every = [each for each in list_shown(project.pk) if each.archived_at is None and each.is_on]
    worths, pages = get_worths(project.pk), tallies(project.pk, start, now)
    pillars = {key: about.pillar for key, about in read_about(project.pk, every).items()}
    params = monitor_params(project.pk)
    views, counted_since = evidence.read_views(project.pk, start)
    found = evidence.read_found(project.pk, start)
    judging = _judging(project.pk, every, params, start.date(), now.date())
    stored = evidence.read_stored(project.pk, [each.id for each in every])
    asked = Counter(monitor for each in list_questions(project.pk) for monitor in each.monitor_ids)
    metrics = [
        pareto.Metric(
            name=str(each.id),
            days=(now - each.created_at) / timedelta(days=1),
            real=pages[each.id].real if each.id in pages else 0,
            false=pages[each.id].false if each.id in pages else 0,
            cost=judging.get(each.id, 0.0) + views.get(each.id, 0) * VIEW_MINUTES * worths.minute_cost,
            is_safety=pillars.get(each.id) is Pillar.SAFETY,
            views=views.get(each.id, 0),
        )
        for each in every
    ]
    incidents = [
        pareto.Incident(worths.worth[one.severity], {str(key): at for key, at in one.alarmed_min.items()})
        for one in found
    ]
    compared = sorted(every, key=lambda each: (-pages[each.id].pages if each.id in pages else 0, each.id))
    series = [each for each in compared if each.method is not Method.COMPOSITE]
    compared = series[:COMPARED_MOST]
    residuals = evidence.read_residuals(project.pk, [each.id for each in compared], start)
    pairs = redundancy.alike(
        {str(key): values for key, values in residuals.items()}, [frozenset(one.alarmed_min) for one in incidents]
    )
    earned = pareto.earn(
        metrics, incidents, false_page_cost=worths.page_cost, seed=project.pk, alike=pairs
    )  # fmt: skip
    by_id = {each.id: each for each in every}
    facts = {metric.name: metric for metric in metrics}
    gains = _gains(project.pk, every)
    lines = [
        {
            **asdict(worth),
            "monitor": int(worth.name),
            "name": by_id[int(worth.name)].name,
            "metric": by_id[int(worth.name)].metric,
            "pillar": pillars.get(int(worth.name)) or "",
            "days": facts[worth.name].days,
            "pages": pages[int(worth.name)].pages if int(worth.name) in pages else 0,
            "unjudged": pages[int(worth.name)].unjudged if int(worth.name) in pages else 0,
            "views": facts[worth.name].views,
            "judging": judging.get(int(worth.name)),
            "points": stored.get(int(worth.name), (0, 0))[0],
            "bytes": stored.get(int(worth.name), (0, 0))[1],
            "questions": asked[int(worth.name)],
            "hours_back": gains.get(int(worth.name)),
        }
        for worth in earned.metrics
    ]
    return {
        "made_at": now.isoformat(),
        "days": PERIOD.days,
        "incidents": earned.incidents,
        "metrics": lines,
        "cover": [asdict(step) | {"title": by_id[int(step.name)].name} for step in earned.cover],
        "core": [int(name) for name in earned.core],
        "alike": [asdict(pair) for pair in pairs],
        "clusters": [[int(name) for name in one] for one in redundancy.clusters(list(facts), pairs)],
        "compared": len(compared),
        "not_compared": len(series) - len(compared),
        "counted_since": counted_since.isoformat() if counted_since else None,
        "worth": {str(key): value for key, value in worths.worth.items()},
        "page_cost": worths.page_cost,
    }


def _judging(
    project_id: int, monitors: Sequence[Shown], params: Mapping[int, Mapping[str, Any]], first: date, last: date
) -> dict[int, float]:
    """US dollars of judging that each monitor stands for: a judge's spend, shared by the monitors of its scores."""
    of = {each.id: judge for each in monitors if isinstance(judge := params.get(each.id, {}).get("judge"), str)}
    spent, sharing = spend_of_judges(project_id, sorted(set(of.values())), first, last), Counter(of.values())
    return {monitor: spent[judge] / PICO / sharing[judge] for monitor, judge in of.items() if judge in spent}


def _gains(project_id: int, monitors: Sequence[Shown]) -> dict[int, float]:
    """Hours earlier that the monitor in the middle would see one sd, were one of the others retired; by monitor."""
    charts, pages = budgeting.charts_of(project_id), get_budget(project_id).pages_a_week
    keys = {chart.key for chart in charts}
    found = {}
    for each in monitors:
        if str(each.id) not in keys:
            continue
        costs = budget.cost_of(charts, [chart for chart in charts if chart.key != str(each.id)], pages)
        if costs:
            saved = sorted(cost.hours_before - cost.hours_after for cost in costs)
            found[each.id] = saved[len(saved) // 2]
    return found


def reason_of(line: Mapping[str, Any], body: Mapping[str, Any]) -> Reason | None:
    """Why the monitor of one line of a report is proposed; None: it is not. Pure.

    Two of |rho| over .95 say the same, whether or not there was an incident. Unused is what paged nobody, was looked at
    by nobody and answers no question, while looks were counted all the time. Safety is never proposed.
    """
    if line["verdict"] == "exempt" or line["days"] < pareto.DAYS_MIN:
        return None
    if line["verdict"] == "propose to retire":
        into = int(line["redundant_to"]) if line["redundant_to"] else None
        words = _twin_words(line, into, body) if into else _cost_words(line)
        return Reason("merge" if into else "retire", into, words)
    twin = _twin(line, body)
    if twin is not None:
        return Reason("merge", twin, _twin_words(line, twin, body))
    counted = body["counted_since"]
    looks_counted = counted is not None and _days_since(counted, body["made_at"]) >= pareto.DAYS_MIN
    if looks_counted and not (line["views"] or line["pages"] or line["questions"] or line["found"]):
        return Reason(
            "retire",
            None,
            (
                f"in the last {min(body['days'], int(line['days']))} days it paged nobody, nobody looked at it, and it "
                "answers no question",
                "no evidence that it is used is not proof that it is useless: keep it where it guards against "
                "something rare",
            ),
        )
    return None


def _twin(line: Mapping[str, Any], body: Mapping[str, Any]) -> int | None:
    """The monitor of higher value that goes with this one at over .95; by number where both are worth the same."""
    values = {one["monitor"]: one["value"] for one in body["metrics"]}
    mine = (line["value"], -line["monitor"])
    for pair in body["alike"]:
        ends = int(pair["metric"]), int(pair["other"])
        if line["monitor"] not in ends or abs(pair["rho"]) <= TWINS_OVER:
            continue
        covers = pair["covers_metric"] if line["monitor"] == ends[0] else pair["covers_other"]
        other = ends[1] if line["monitor"] == ends[0] else ends[0]
        if covers and (values[other], -other) > mine:
            return other
    return None


def _twin_words(line: Mapping[str, Any], into: int, body: Mapping[str, Any]) -> tuple[str, ...]:
    name = next((one["name"] for one in body["metrics"] if one["monitor"] == into), "another")
    pair = next(
        (one for one in body["alike"] if {int(one["metric"]), int(one["other"])} == {line["monitor"], into}), None
    )
    words = [f"it says the same as {name}, which is worth as much or more"]
    if pair is not None:
        words.append(f"their residuals go together at {pair['rho']:.2f} (Spearman, {pair['windows']:,} hours)")
        mine = pair["metric_found"] if int(pair["metric"]) == line["monitor"] else pair["other_found"]
        words.append(f"{name} also found {pair['both']} of the {mine} real incidents it found")
    return tuple(words)


def _cost_words(line: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        f"the most it can have been worth, ${line['benefit_high']:,.0f}, is below what it cost, ${line['spent']:,.0f}",
        f"{line['false']} of its judged pages were false alarms, {line['real']} real",
    )


def _days_since(day: str, at: str) -> float:
    return (datetime.fromisoformat(at).date() - date.fromisoformat(day[:10])).days


def _propose(project_id: int, body: Mapping[str, Any], now: datetime) -> None:
    """Open what is proposed now, and take back what is not any more."""
    found = {}
    for line in body["metrics"]:
        reason = reason_of(line, body)
        if reason is not None:
            found[line["monitor"]] = (reason, line)
    # A chain (a says the same as b, b as c) would leave nobody: what another goes into stays.
    kept = {reason.into for reason, _ in found.values() if reason.into}
    found = {monitor: told for monitor, told in found.items() if monitor not in kept}
    write.take_back_proposals(project_id, list(found), now)
    for monitor, (reason, line) in found.items():
        shown = {key: line[key] for key in _EVIDENCE}
        write.propose(
            project_id, monitor, reason.kind, reason.into, list(reason.words), shown, now,
            not_since=now - timedelta(days=REFUSED_DAYS),
        )  # fmt: skip


_EVIDENCE = (
    "days", "pages", "real", "false", "unjudged", "found", "alone", "views", "questions", "benefit", "spent", "value",
    "low", "high", "hours_back",
)  # fmt: skip

