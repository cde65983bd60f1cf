"""What responses of an incident can be compared by: their own row, their spans, the sample; bounded whatever comes.

    now = scope_rows(by, by.start, by.end)
    before = scope_rows(by, by.before_start, by.before_end)

One query for rows, one for spans, a few for topics.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from alerts.drift.fields import band_of
from alerts.monitors.types import Scope, Window
from alerts.read.drift_references import topics_in_force
from alerts.read.flagged_sql import Flagging, rows_by
from alerts.read.flagged_told import TIMEOUT_MS
from alerts.read.series_sql import rows_of, template
from alerts.read.vectors import NoSuchField, vectors_in
from alerts.stats.slices import NOT_LOOKED
from alerts.stats.topics import OUTSIDE, assign
from telltale.projects.models import ApiKey
from traces.canonical.types import Kind

# Of one stretch: a fair draw of more. Two of them with 18 attributes are compared in about 2 s (measured, one core).
ROWS_MOST = 50_000
# Spans, metadata and topics are looked at of the first so many of the draw: 10,000 traces of 6 spans take 0.5 s.
SPANS_MOST = 10_000
TOPICS_MOST = 5_000
# Keys of metadata: those that divide traffic, the most often told first.
META_MOST, META_VALUES_MOST = 6, 100
META_TOLD = 0.05
VALUE_CHARS = 120
_OWN = (
    "feature", "service", "environment", "release", "prompt", "prompt_version", "model", "finish_reason", "name",
    "user", "tag",
)  # fmt: skip
_PASSAGES = ((0, "none"), (1, "1"), (2, "2 to 3"), (4, "4 to 7"), (8, "8 and more"))
# What a metric counts is no explanation of it.
SELF_EVIDENT: Mapping[str, frozenset[str]] = {
    "finish_reason": frozenset({"finish_reason"}),
    "finish_reasons": frozenset({"finish_reason"}),
    "refusals": frozenset({"finish_reason"}),
    "input_tokens": frozenset({"input_tokens"}),
    "input_length": frozenset({"input_tokens"}),
    "output_tokens": frozenset({"output_tokens"}),
    "response_length": frozenset({"output_tokens"}),
    "models": frozenset({"model", "provider"}),
    "tools": frozenset({"tools"}),
}


@dataclass(frozen=True)
class ScopeRows:
    """Responses of one stretch, compared: `n` and `n_bad` of all, the others of those drawn, (m,) each.

    `attributes` by name, text or None (not set) or `NOT_LOOKED`; `constants`: those that all rows have the same of.
    `left_out` says in words what was not compared.
    """

    n: int
    n_bad: int
    traces: tuple[UUID, ...]
    started_at: tuple[datetime, ...]
    bad: NDArray[np.bool_]
    weights: NDArray[np.float64]
    attributes: Mapping[str, list[str | None]]
    constants: Mapping[str, str | None]
    left_out: tuple[str, ...] = ()


def scope_rows(
    by: Flagging, start: datetime, end: datetime, *, limit: int = ROWS_MOST, meta: Sequence[str] | None = None
) -> ScopeRows:
    """A fair draw of at most `limit` responses of [start, end). `meta`: keys of metadata; None: those that divide.

    TooSlow where the stretch holds more than can be read in time; SeriesFault where the monitor's filter is gone.
    """
    rows, more = rows_by(by, start, end)
    params = {**more, "project_id": by.project_id, "start": start, "end": end, "seed": 0, "limit": limit}
    found = rows_of(template("scope_rows", rows=rows), params, TIMEOUT_MS)
    n, n_bad = found[0][:2]
    drawn = [row for row in found if row[2] is not None]
    traces = tuple(row[2] for row in drawn)
    columns: dict[str, list[str | None]] = {
        name: [_text(row[7 + at]) for row in drawn] for at, name in enumerate(_OWN)
    }  # fmt: skip
    for at, name in ((18, "input_tokens"), (19, "output_tokens")):
        columns[name] = [None if row[at] is None else band_of(row[at]) for row in drawn]
    left_out: list[str] = []
    if len(drawn) < n:
        left_out.append(f"{n - len(drawn):,} of {n:,} responses: a fair draw of {len(drawn):,} is compared")
    if any(row[20] for row in drawn):
        columns["language"] = [(_text(row[21]) if row[20] else NOT_LOOKED) for row in drawn]
        columns.update(_topics(by, start, end, traces))
    else:
        left_out.append("language and topic: no sample of this traffic is kept")
    looked = min(SPANS_MOST, len(drawn))
    if looked:
        columns.update(_of_spans(by.project_id, drawn[:looked], len(drawn), meta))
    if looked < len(drawn):
        told = "providers, tools, keys and metadata"
        left_out.append(f"{told} of {len(drawn) - looked:,} responses: those of {looked:,} are looked at")
    for name in SELF_EVIDENT.get(by.metric, frozenset()):
        columns.pop(name, None)
    telling = {name for name, values in columns.items() if _says_something(values)}
    return ScopeRows(
        n=n,
        n_bad=n_bad,
        traces=traces,
        started_at=tuple(row[3] for row in drawn),
        bad=np.fromiter((row[4] for row in drawn), np.bool_, len(drawn)),
        weights=np.fromiter((1 / row[5] for row in drawn), np.float64, len(drawn)),
        attributes={name: values for name, values in columns.items() if name in telling},
        constants={name: values[0] for name, values in columns.items() if name not in telling and values},
        left_out=tuple(left_out),
    )


def _topics(by: Flagging, start: datetime, end: datetime, traces: Sequence[UUID]) -> dict[str, list[str | None]]:
    """The topic of each response's input, of a fair sample; {} without a frozen reference."""
    features = dict(by.scope.values).get("feature", ())
    feature = (features[0] or "") if len(features) == 1 else None
    topics = topics_in_force(by.project_id, feature, "input")
    if topics is None:
        return {}
    scope = Scope(tuple((name, values) for name, values in by.scope.values if name == "feature"))
    try:
        held = vectors_in(
            by.project_id, scope, "input", topics.encoder, [Window(start, end)],
            dims=topics.centres.shape[1], most=TOPICS_MOST,
        )[0]  # fmt: skip
    except NoSuchField:
        return {}
    if not held.rows:
        return {}
    owner, far = assign(topics.centres, np.asarray(held.rows, dtype=np.float64))
    names = {
        trace: topics.names[int(t)] if away <= topics.radius else OUTSIDE
        for trace, t, away in zip(held.traces, owner, far, strict=True)
    }
    return {"topic": [_text(names.get(trace.hex, NOT_LOOKED)) for trace in traces]}


def _of_spans(
    project_id: int, looked: Sequence[tuple[Any, ...]], n: int, meta: Sequence[str] | None
) -> dict[str, list[str | None]]:
    """Provider, tools, key, passages and metadata of the first responses drawn; the others were not looked at."""
    times = {row[2]: (row[3], row[6]) for row in looked if row[6] is not None}
    # A call may be what the row is of, and lie behind the trace's first start.
    starts, ends = [min(each) for each in times.values()], [max(each) for each in times.values()]
    params = {
        "project_id": project_id, "ids": list(times), "generation": int(Kind.GENERATION), "tool": int(Kind.TOOL),
        "starts": starts, "ends": ends, "first": min(starts, default=None), "last": max(ends, default=None),
    }  # fmt: skip
    found = {row[0]: row[1:] for row in rows_of(template("scope_spans"), params, TIMEOUT_MS)}
    keys = dict(ApiKey.objects.filter(project_id=project_id).values_list("pk", "name"))
    told = {trace: _metadata(row[2]) for trace, row in found.items()}
    wanted = _dividing(told.values()) if meta is None else list(meta)
    rest: list[str | None] = [NOT_LOOKED] * (n - len(looked))
    columns: dict[str, list[str | None]] = {name: [] for name in ("provider", "tools", "key", "passages")}
    own: dict[str, list[str | None]] = {f"meta.{key}": [] for key in wanted}
    for row in looked:
        providers, tools, _, key, passages = found.get(row[2], (None, None, None, None, None))
        columns["provider"].append(_text(" + ".join(sorted(providers)) if providers else None))
        columns["tools"].append(_text(" + ".join(sorted(tools)) if tools else "none"))
        columns["key"].append(_text(keys.get(key, f"key {key}") if key is not None else None))
        columns["passages"].append(NOT_LOOKED if passages is None else _passages(passages))
        said = told.get(row[2], {})
        for key in wanted:
            own[f"meta.{key}"].append(_text(said.get(key)))
    return {name: values + rest for name, values in {**columns, **own}.items()}


def _metadata(raw: str | None) -> dict[str, str]:
    """Keys of metadata with a plain value."""
    if raw is None:
        return {}
    told = json.loads(raw)
    if not isinstance(told, dict):
        return {}
    return {
        str(key): str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in told.items()
        if isinstance(value, str | bool | int)
    }


def _dividing(told: Iterable[Mapping[str, str]]) -> list[str]:
    """The keys that divide traffic into groups: told often, with 2 to 100 values; what columns hold already not."""
    rows = list(told)
    values: dict[str, Counter[str]] = {}
    for row in rows:
        for key, value in row.items():
            if key not in _OWN and key not in {"user_id", "session_id", "thread_id"}:
                values.setdefault(key, Counter())[value[:VALUE_CHARS]] += 1
    fit = [
        (-counts.total(), key)
        for key, counts in values.items()
        if len(counts) + (counts.total() < len(rows)) >= 2 and len(counts) <= META_VALUES_MOST
        and counts.total() >= META_TOLD * len(rows)
    ]  # fmt: skip
    return [key for _, key in sorted(fit)[:META_MOST]]


def _passages(found: int) -> str:
    return _PASSAGES[bisect_right([edge for edge, _ in _PASSAGES], found) - 1][1]


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)[:VALUE_CHARS]


def _says_something(values: Sequence[str | None]) -> bool:
    """Whether there is more than one value, those nobody looked at apart."""
    first: str | object | None = _NOTHING
    for value in values:
        if value != NOT_LOOKED:
            if first is _NOTHING:
                first = value
            elif value != first:
                return True
    return False


_NOTHING = object()
