"""What models and prompts a project's calls ran with: from when to when, how often, at what cost, how many failed.

Sums of a window come from roll-ups; when something was first and last seen, what was asked for and what fingerprint
came back from sightings (traces.sighting), which forget nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telltale.lib.db import raw_cursor
from traces.canonical.types import MODEL_KINDS
from traces.changing.deriving import What
from traces.cost.judging import JUDGE_SERVICE
from traces.read.rollup_values import calls
from traces.read.rollups import reading
from traces.rollup.sums import OTHER

_SIGHTINGS = """
    SELECT what, environment, feature, provider, name, value, first_at, last_at
    FROM traces_sighting WHERE project_id = %s AND what = ANY(%s) ORDER BY first_at, sighting_id
"""
_LEFT_OUT = "SELECT left_out, backfilled_at FROM traces_sighting_state WHERE project_id = %s"


@dataclass(frozen=True, slots=True)
class Seen:
    """A name and from when to when spans showed it."""

    name: str
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """The calls of a window. `cost_pico` sums the known costs; `unpriced` calls have none. `share` of all, 0..1."""

    calls: int = 0
    errors: int = 0
    cost_pico: int | None = None
    unpriced: int = 0
    share: float | None = None


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """A model as calls are booked: the one that answered, else the one asked for. "" is not told.

    `asked`: the names it was asked for by. `shifted`: those of them that another model answered to as well.
    """

    provider: str
    model: str
    usage: Usage
    first_at: datetime | None
    last_at: datetime | None
    asked: tuple[Seen, ...]
    shifted: tuple[str, ...]
    fingerprints: tuple[Seen, ...]
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A version of a prompt; its share is of the calls of all versions of the prompt."""

    name: str
    version: str
    usage: Usage
    first_at: datetime | None
    last_at: datetime | None
    features: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Registry:
    """Models and prompts, most calls first, over the effective window [start, end).

    `left_out` counts values beyond the cap of a project; `is_behind`: stored traces are still being looked through.
    """

    models: tuple[ModelVersion, ...]
    prompts: tuple[PromptVersion, ...]
    calls: int
    start: datetime
    end: datetime
    left_out: int
    is_behind: bool


def read_registry(project_id: int, time_zone: str, start: datetime, end: datetime) -> Registry:
    """Every model and prompt version ever seen, with the calls of the window. A constant number of queries. TooSlow."""
    where = calls(kind=[int(kind) for kind in MODEL_KINDS]).but(service=JUDGE_SERVICE)
    with reading(project_id, time_zone) as rollups:
        want = ("counts", "statuses", "cost")
        by_model = rollups.ask(where, start, end, by=("provider", "model"), want=want)
        by_prompt = rollups.ask(where, start, end, by=("prompt_name", "prompt_version"), want=want)
        with raw_cursor() as cursor:
            whats = [int(what) for what in (What.ANSWER, What.FINGERPRINT, What.PROMPT, What.MODEL)]
            cursor.execute(_SIGHTINGS, (project_id, whats))
            rows = cursor.fetchall()
            cursor.execute(_LEFT_OUT, (project_id,))
            state = cursor.fetchone()
    seen: dict[What, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        seen[What(row[0])].append(row[1:])
    total = sum(row.sums.n for row in by_model.rows)
    used = {(row.key[0] or "", row.key[1] or ""): _usage(row.sums, total) for row in by_model.rows}
    prompts: dict[tuple[str, str], Any] = {
        (str(row.key[0]), str(row.key[1])): row.sums for row in by_prompt.rows if row.key[0] and row.key[1]
    }
    return Registry(
        models=_models(used, seen),
        prompts=_prompts(prompts, seen[What.PROMPT]),
        calls=total,
        start=by_model.start,
        end=by_model.end,
        left_out=0 if state is None else state[0],
        is_behind=state is not None and state[1] is None,
    )


def _usage(sums: Any, total: int) -> Usage:
    # A sum of nothing that has a price is no cost of 0.
    known = sums.priced_count + sums.partial_count + sums.upper_bound_count
    cost = sums.cost_pico if known else None
    return Usage(sums.n, sums.errors, cost, sums.unpriced_count, sums.n / total if total else None)


def _models(used: dict[tuple[Any, Any], Usage], seen: dict[What, list[tuple[Any, ...]]]) -> tuple[ModelVersion, ...]:
    answers: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    answered_by: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _, _, provider, asked, answered, first_at, last_at in seen[What.ANSWER]:
        model = answered or asked
        answers[provider, model].append(Seen(asked, first_at, last_at))
        if asked and answered:
            answered_by[provider, asked].add(answered)
    prints: dict[tuple[str, str], list[Seen]] = defaultdict(list)
    for _, _, provider, model, value, first_at, last_at in seen[What.FINGERPRINT]:
        prints[provider, model].append(Seen(value, first_at, last_at))
    # The line of models by feature holds the name asked for.
    features: dict[str, set[str]] = defaultdict(set)
    for _, feature, _, _, asked, _, _ in seen[What.MODEL]:
        if feature:
            features[asked].add(feature)
    found = []
    for provider, model in {*used, *answers}:
        if model == OTHER and (provider, model) not in used:
            continue
        named = answers[provider, model]
        names = {each.name for each in named if each.name} or {model}
        found.append(
            ModelVersion(
                provider,
                model,
                used.get((provider, model), Usage()),
                min((each.first_at for each in named), default=None),
                max((each.last_at for each in named), default=None),
                _merged(each for each in named if each.name),
                tuple(sorted(name for name in names if len(answered_by[provider, name]) > 1)),
                tuple(prints[provider, model]),
                tuple(sorted(set().union(*(features[name] for name in names)))),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.usage.calls, each.provider, each.model)))


def _prompts(used: dict[tuple[str, str], Any], seen: Sequence[tuple[Any, ...]]) -> tuple[PromptVersion, ...]:
    totals: dict[str, int] = defaultdict(int)
    for (name, _), sums in used.items():
        totals[name] += sums.n
    spans: dict[tuple[str, str], list[tuple[Any, ...]]] = defaultdict(list)
    for _, feature, _, name, version, first_at, last_at in seen:
        spans[name, version].append((feature, first_at, last_at))
    found = [
        PromptVersion(
            name,
            version,
            _usage(used[name, version], totals[name]) if (name, version) in used else Usage(),
            min((span[1] for span in spans[name, version]), default=None),
            max((span[2] for span in spans[name, version]), default=None),
            tuple(sorted({span[0] for span in spans[name, version] if span[0]})),
        )
        for name, version in {*used, *spans}
    ]
    newest = {name: max(each.usage.calls for each in found if each.name == name) for name in {e.name for e in found}}
    return tuple(sorted(found, key=lambda each: (-newest[each.name], each.name, -_stamp(each.first_at), each.version)))


def _stamp(at: datetime | None) -> float:
    return 0.0 if at is None else at.timestamp()


def _merged(names: Iterable[Seen]) -> tuple[Seen, ...]:
    """Each name once, over all its spans."""
    spans: dict[str, Seen] = {}
    for each in names:
        old = spans.get(each.name, each)
        spans[each.name] = Seen(each.name, min(old.first_at, each.first_at), max(old.last_at, each.last_at))
    return tuple(spans.values())
