"""How fast and how well requests and model calls ended, from roll-ups alone: the same work at any number of spans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from telltale.stats.sketch import Sketch
from traces.canonical.types import Kind
from traces.cost.judging import JUDGE_SERVICE
from traces.read.hosts import Hosts, read_hosts
from traces.read.rollups import Answer, FoldState, Reasons, Rollups, Step, What, Where, calls, reading, requests
from traces.rollup.sums import Sums, add

# A chart with its table twin stays light and its points wide enough to hit.
POINTS_MAX = 62
# What the page filters by: the name in its address, in roll-ups, and whether requests have it too.
DIMENSIONS = {
    "feature": ("feature", True),
    "service": ("service", True),
    "environment": ("environment", True),
    "release": ("release", True),
    "prompt": ("prompt_name", True),
    "prompt_version": ("prompt_version", True),
    "model": ("model", False),
    "provider": ("provider", False),
}
# What the table is broken down by. Stages are steps of all kinds; the others that requests lack are model calls.
BREAKDOWNS = ("feature", "model", "provider", "stage", "service", "environment", "release", "prompt_version")

Terms = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums and sketches over a whole window."""

    sums: Sums
    sketches: Mapping[str, Sketch]

    def quantile_ms(self, name: str, q: float) -> tuple[float | None, float | None, float | None]:
        """A quantile of a sketch of nanoseconds with its limits, in ms; None where it or a limit does not exist."""
        return quantile_of(self.sketches.get(name, Sketch()), q)


@dataclass(frozen=True, slots=True)
class Performance:
    """All that the page shows. Request figures are None where the filter names what requests have none of (a model)."""

    start: datetime
    end: datetime
    is_widened: bool
    requests: Answer | None
    calls: Answer
    whole_requests: Totals | None  # the two over the whole window
    whole_calls: Totals
    before: Totals | None  # requests of the period before, of the same length; None as `requests`
    calls_before: Totals
    by: str
    breakdown: Answer
    errors: Reasons | None
    finishes: Reasons
    hosts: Hosts
    state: FoldState
    other_share: float | None

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


def quantile_of(sketch: Sketch, q: float) -> tuple[float | None, float | None, float | None]:
    """As `Totals.quantile_ms`, of one sketch."""
    found = sketch.quantile(q)
    if found is None:
        return None, None, None
    return tuple(None if v is None else v / 1e6 for v in (found.value, found.low, found.high))  # type: ignore[return-value]


def totals(answer: Answer) -> Totals:
    """An answer's points and groups in one."""
    names = {name for row in answer.rows for name in row.sketches}
    merged = {name: Sketch.merged(row.sketch(name) for row in answer.rows) for name in names}
    return Totals(add(row.sums for row in answer.rows), merged)


def pick_step(start: datetime, end: datetime) -> Step:
    """The shortest step that cuts the window into at most `POINTS_MAX` points."""
    minutes = (end - start).total_seconds() / 60
    return next((step for step in Step if minutes / step <= POINTS_MAX), Step.MONTH)


def where_of(terms: Terms) -> tuple[Where | None, Where]:
    """The requests (None: the terms name what they have none of) and the model calls that `terms` name."""
    names = {DIMENSIONS[name][0]: value for name, value in terms.items()}
    asks_calls = any(not DIMENSIONS[name][1] for name in terms)
    return None if asks_calls else _of_application(requests(**names), names), generations_of(names)


def generations_of(names: Terms) -> Where:
    """The application's model calls."""
    return _of_application(calls(kind=int(Kind.GENERATION), **names), names)


def _of_application(where: Where, names: Terms) -> Where:
    """`where` without the product's own calls of judges, unless a service is named."""
    return where if "service" in names else where.but(service=JUDGE_SERVICE)


def read_performance(
    project_id: int, time_zone: str, start: datetime, end: datetime, terms: Terms, by: str
) -> Performance:
    """Everything of [start, end) under `terms` ({name of DIMENSIONS: value, None is unknown}), broken down by `by`.

    The same number of queries at any size. TooSlow; KeyError for names that are none.
    """
    of_requests, of_calls = where_of(terms)
    step = pick_step(start, end)
    length = end - start
    with reading(project_id, time_zone) as rollups:
        called = rollups.ask(
            of_calls, start, end, step=step, want=("counts", "tokens", "latency"),
            sketches=("duration", "ttft", "tpot", "length"),
        )  # fmt: skip
        asked = before = errors = None
        if of_requests is not None:
            asked = rollups.ask(of_requests, start, end, step=step, want=("counts", "latency"), sketches=("duration",))
            before = totals(
                rollups.ask(of_requests, start - length, start, want=("counts", "latency"), sketches=("duration",))
            )
            errors = rollups.reasons(What.ERROR_TYPE, of_requests, start, end)
        calls_before = totals(rollups.ask(of_calls, start - length, start, want=("counts",), sketches=("ttft", "tpot")))
        finishes = rollups.reasons(What.FINISH_REASON, of_calls, start, end)
        breakdown = _breakdown(rollups, of_requests, of_calls, terms, by, start, end)
        state = rollups.state()
        other_share = rollups.other_share(of_calls, start, end)
    return Performance(
        start=called.start,
        end=called.end,
        is_widened=called.is_widened,
        requests=asked,
        calls=called,
        whole_requests=None if asked is None else totals(asked),
        whole_calls=totals(called),
        before=before,
        calls_before=calls_before,
        by=by,
        breakdown=breakdown,
        errors=errors,
        finishes=finishes,
        hosts=read_hosts(project_id, called.start, called.end),
        state=state,
        other_share=other_share,
    )


def _breakdown(
    rollups: Rollups, of_requests: Where | None, of_calls: Where, terms: Terms, by: str, start: datetime, end: datetime
) -> Answer:
    want = ("counts", "tokens", "latency")
    if by == "stage":
        names = {DIMENSIONS[name][0]: value for name, value in terms.items()}
        steps = _of_application(calls(**names), names)
        return rollups.ask(steps, start, end, by=("kind", "stage"), want=want, sketches=("duration",))
    name, is_of_requests = DIMENSIONS[by]
    if is_of_requests and of_requests is not None:
        return rollups.ask(of_requests, start, end, by=(name,), want=want, sketches=("duration", "ttft"))
    return rollups.ask(of_calls, start, end, by=(name,), want=want, sketches=("duration", "ttft", "tpot", "length"))
