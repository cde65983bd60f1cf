"""How each suite of probes stands, in one line: for lists that show probes among other things that are watched."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, OuterRef, Q, QuerySet, Subquery

from evals.models import ProbeAlarm, ProbeRun, ProbeSeries, ProbeSuite, ProbeVersion
from evals.probes.schedule import parse_schedule, schedule_words
from telltale.lib import clock

LOOK_BACK = timedelta(days=30)
# Worst first: what a suite is, where its probes differ.
STATES = ("changed", "unanswered", "watch", "learning", "same")


@dataclass(frozen=True, slots=True)
class SuiteState:
    """A suite in one line. `state`: changed, unanswered, watch, learning, same, paused, or empty (it has no run yet).

    `expected_a_week`: false alarms a week by the suite's own budget line. `counts`: its probes at its models, by
    state. Of the last 30 days: `fired` alarms, of which people called `real` and `false`.
    """

    id: int
    slug: str
    name: str
    state: str
    words: str
    schedule: str
    models: tuple[str, ...]
    counts: dict[str, int]
    runs_between_alarms: int
    expected_a_week: float
    open_alarms: int
    fired: int
    real: int
    false: int
    last_run_at: datetime | None
    next_at: datetime | None

    @property
    def path(self) -> str:
        """Where its page is, below the project's."""
        return f"probes/?suite={self.slug}"


def suites(project_id: int) -> list[SuiteState]:
    """Every suite of a project that is not put away, by name. Five queries, however many there are."""
    since = clock.now() - LOOK_BACK
    rows = list(ProbeSuite.objects.filter(project_id=project_id, archived_at=None).order_by("name", "pk"))
    ids = [row.pk for row in rows]
    counts: dict[int, Counter[str]] = {key: Counter() for key in ids}
    models: dict[int, list[str]] = {key: [] for key in ids}
    for suite_id, model, state, n in (
        newest_series(ids).values_list("target__suite_id", "target__model", "state").annotate(n=Count("pk"))
    ).order_by("target__model"):
        counts[suite_id][state] += n
        models[suite_id] = list(dict.fromkeys([*models[suite_id], model]))
    alarms = {
        row["suite_id"]: row
        for row in ProbeAlarm.objects.filter(suite_id__in=ids)
        .values("suite_id")
        .annotate(
            opened=Count("pk", filter=Q(closed_at=None)),
            fired=Count("pk", filter=Q(opened_at__gte=since)),
            real=Count("pk", filter=Q(opened_at__gte=since, verdict__in=("real", "accepted"))),
            false=Count("pk", filter=Q(opened_at__gte=since, verdict="false")),
        )
    }
    ended = dict(
        ProbeRun.objects.filter(suite_id__in=ids, state="done")
        .values_list("suite_id")
        .annotate(at=Max("finished_at"))
        .values_list("suite_id", "at")
    )
    return [_state(row, counts[row.pk], models[row.pk], alarms.get(row.pk, {}), ended.get(row.pk)) for row in rows]


def newest_series(suite_ids: list[int]) -> QuerySet[ProbeSeries]:
    """The series that runs add to now: of the newest version of each probe, at each model that is still asked."""
    newest = ProbeVersion.objects.filter(probe=OuterRef("version__probe")).order_by("-number").values("pk")[:1]
    return ProbeSeries.objects.filter(
        target__suite_id__in=suite_ids,
        target__archived_at=None,
        version__probe__archived_at=None,
        version_id=Subquery(newest),
    )


def _state(
    row: ProbeSuite, counts: Counter[str], models: list[str], alarms: Mapping[str, Any], last_run_at: datetime | None
) -> SuiteState:
    schedule = parse_schedule(row.schedule)
    state = next((each for each in STATES if counts[each]), "empty")
    if row.paused_at is not None:
        state = "paused"
    expected = schedule.runs_a_week / row.runs_between_alarms
    return SuiteState(
        row.pk, row.slug, row.name, state, _words(state, counts), schedule_words(schedule), tuple(models),
        {each: counts[each] for each in STATES}, row.runs_between_alarms, expected, alarms.get("opened", 0),
        alarms.get("fired", 0), alarms.get("real", 0), alarms.get("false", 0), last_run_at,
        None if row.paused_at is not None else row.next_at,
    )  # fmt: skip


def _words(state: str, counts: Counter[str]) -> str:
    """The state in one line of plain words."""
    n, whole = counts[state], sum(counts.values())
    many = f"{n} of {whole} probes" if whole != 1 else "The one probe"
    verb = "is" if n == 1 else "are"
    return {
        "changed": f"{many} {'answers otherwise than its' if n == 1 else 'answer otherwise than their'} baseline,"
        " beyond chance.",
        "unanswered": f"{many} got no answers in the last run.",
        "watch": f"{many} {verb} a little off; within chance so far.",
        "learning": f"{many} {verb} still learning what is usual.",
        "same": f"{'All ' + str(whole) + ' probes answer' if whole != 1 else 'The one probe answers'} as their"
        " baseline does.",
        "paused": "Paused: nothing is asked.",
        "empty": "No run yet.",
    }[state]
