"""Responses with whether they are flagged, as SQL over the rows that a metric is looked at by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, cast
from uuid import UUID

import numpy as np
from psycopg import sql

from alerts.drift.fields import Side
from alerts.monitors.types import Definition, Scope, Window
from alerts.read.drift_references import topics_in_force
from alerts.read.filtering import filtered
from alerts.read.flagged_rules import WHOLE, Rule, Source
from alerts.read.series_sql import NOTHING, template
from alerts.read.vectors import scope_terms, vectors_in
from alerts.stats.topics import OUTSIDE, assign
from traces.signals.kinds import Kind as SignalKind

TOPIC_ROWS = 5_000
IDS = sql.SQL("s.trace_id = ANY (%(ids)s::uuid[])")
SCORES = {
    Source.JUDGED: "series_scores_judged",
    Source.FLAGS: "series_scores_flagged",
    Source.POSTED: "series_scores_posted",
}
_OF_JUDGED = sql.SQL("j.target_id AS trace_id, j.span_id, ")
_OF_POSTED = sql.SQL("s.trace_id, s.span_id, ")
_TRACE_OF_TARGET = sql.SQL("JOIN traces_trace AS t ON t.project_id = j.project_id AND t.trace_id = j.target_id")
_TRACE_OF_SCORE = sql.SQL("JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id")
# Dimensions of calls; the others are of a request's own row.
_OF_CALLS = frozenset({"provider", "model"})


@dataclass(frozen=True, slots=True)
class Flagging:
    """By what a response of an incident counts as flagged, and where to look.

    `words` follow "responses that". `monitor_id` None: no monitor tells. `is_whole`: no single response can be flagged
    by this metric, so all of the stretch are looked at, and their share says nothing. [`start`, `end`) is the stretch
    out of limits, [`before_start`, `before_end`) the baseline's, or the days before where it has none.
    """

    project_id: int
    rule: Rule
    words: str
    monitor_id: int | None
    monitor_name: str
    metric: str
    start: datetime
    end: datetime
    before_start: datetime
    before_end: datetime
    definition: Definition | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    flag: sql.Composable = field(default_factory=lambda: NOTHING, repr=False)
    scope: Scope = field(default_factory=Scope)
    side: Side = "input"
    grown: tuple[str | None, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything of the stretch counts as flagged."""
        return self.rule is WHOLE


def rows_by(by: Flagging, start: datetime, end: datetime) -> tuple[sql.Composable, dict[str, Any]]:
    """The responses of a stretch as SQL with its own parameters."""
    if by.rule.source in SCORES:
        rows, params = scored(by)
        return template("flagged_scores", rows=rows, flag=by.flag), params
    rows, params = source_of(by)
    if by.flag is IDS:
        params["ids"] = _of_topics(by, start, end)
    return rows, params


def source_of(by: Flagging, extra: sql.Composable | None = None) -> tuple[sql.Composable, dict[str, Any]]:
    """Rows of traces, calls, sessions or samples; `extra`: their number as x instead."""
    rule, scope = by.rule, by.scope
    values = dict(scope.values)
    params: dict[str, Any] = dict(by.params)
    if rule.source is Source.SAMPLES:
        terms, more = scope_terms(scope)
        return template("flagged_samples", flag=by.flag, conditions=sql.SQL("").join(terms)), params | more
    if rule.source is Source.UNITS:
        known = [constant(rule.known or "true")]
        if "feature" in values:
            params["features"] = [value or "" for value in values["feature"]]
            known.append(sql.SQL("b.feature = ANY (%(features)s::text[])"))
        params["thumb"] = int(SignalKind.THUMB)
        conditions = sql.SQL(" AND ").join(known)
        if extra is not None:
            return _numbers("traces_behaviour AS b", extra, "b.first_at", conditions, "b.project_id"), params
        return template("flagged_units", flag=by.flag, conditions=conditions), params
    own = {name: each for name, each in values.items() if name not in _OF_CALLS}
    if rule.source is Source.CALLS:
        chosen = filtered(by.project_id, scope.filter, own)
        calls: list[sql.Composable] = [constant(rule.known or "true")]
        for name in sorted(_OF_CALLS & set(values)):
            column = "s.provider" if name == "provider" else "coalesce(s.model_answered, s.model_requested)"
            params[f"c_{name}"] = [each for each in values[name] if each is not None]
            looks = sql.SQL("{} = ANY ({}::text[])").format(constant(column), sql.Placeholder(f"c_{name}"))
            if None in values[name]:
                looks = sql.SQL("({} OR {} IS NULL)").format(looks, constant(column))
            calls.append(looks)
        params |= {"kinds": [int(kind) for kind in rule.kinds], **chosen.params}
        if extra is not None:
            table = (
                "traces_span AS s CROSS JOIN LATERAL (SELECT * FROM traces_trace AS k"
                " WHERE k.project_id = s.project_id AND k.trace_id = s.trace_id OFFSET 0) AS t"
            )
            calls.append(sql.SQL("s.kind = ANY (%(kinds)s::smallint[])"))
            conditions = sql.SQL(" AND ").join([*calls, chosen.conditions])
            return _numbers(table, extra, "s.started_at", conditions, "s.project_id"), params
        joined = sql.SQL(" AND ").join(calls)
        return template("flagged_calls", flag=by.flag, calls=joined, conditions=chosen.conditions), params
    chosen = filtered(by.project_id, scope.filter, own)
    parts: list[sql.Composable] = [chosen.conditions, constant(rule.known or "true")]
    models = [each for each in values.get("model", ()) if each is not None]
    if models:
        params["models"] = models
        parts.append(sql.SQL("t.models && %(models)s::text[]"))
    conditions = sql.SQL(" AND ").join(parts)
    params |= chosen.params
    if extra is not None:
        return _numbers("traces_trace AS t", extra, "t.started_at", conditions, "t.project_id"), params
    return template("flagged_traces", flag=by.flag, conditions=conditions), params


def _numbers(
    table: LiteralString, number: sql.Composable, at: LiteralString, conditions: sql.Composable, project: LiteralString
) -> sql.Composed:
    return sql.SQL(
        "SELECT {number} AS x, {at} AS started_at FROM {table} WHERE {project} = %(project_id)s "
        "AND {at} >= %(start)s AND {at} < %(end)s AND {conditions}"
    ).format(
        number=number, at=sql.SQL(at), table=sql.SQL(table), project=sql.SQL(project), conditions=conditions
    )  # fmt: skip


def scored(by: Flagging) -> tuple[sql.Composable, dict[str, Any]]:
    """Rows of scores within `c.s`, `c.e`."""
    is_posted = by.rule.source is Source.POSTED
    values = dict(by.scope.values)
    params: dict[str, Any] = dict(by.params)
    parts: list[sql.Composable] = []
    joined: sql.Composable = NOTHING
    if is_posted or by.scope.filter:
        chosen = filtered(by.project_id, by.scope.filter, values if is_posted else {})
        params |= chosen.params
        parts.append(sql.SQL("AND ") + chosen.conditions)
        joined = _TRACE_OF_SCORE if is_posted else _TRACE_OF_TARGET
    if not is_posted:
        for name, accepted in values.items():
            params[f"j_{name}"] = [each or "" for each in accepted]
            parts.append(
                sql.SQL("AND {} = ANY ({}::text[])").format(sql.Identifier("j", name), sql.Placeholder(f"j_{name}"))
            )
    rows = template(
        SCORES[by.rule.source],
        dimensions=_OF_POSTED if is_posted else _OF_JUDGED,
        traces=joined,
        conditions=sql.SQL(" ").join(parts),
    )
    return rows, params


def _of_topics(by: Flagging, start: datetime, end: datetime) -> list[UUID]:
    """The traces of a stretch whose topic is among those that grew, of a fair sample of them."""
    definition = cast(Definition, by.definition)
    features = dict(by.scope.values).get("feature", ())
    feature = (features[0] or "") if len(features) == 1 else None
    topics = topics_in_force(by.project_id, feature, by.side, str(definition.params.get("encoder", "")))
    if topics is None:
        return []
    held = vectors_in(
        by.project_id, by.scope, by.side, topics.encoder, [Window(start, end)],
        dims=topics.centres.shape[1], most=TOPIC_ROWS,
    )[0]  # fmt: skip
    if not held.rows:
        return []
    owner, far = assign(topics.centres, np.asarray(held.rows, dtype=np.float64))
    names = (topics.names[int(t)] if away <= topics.radius else OUTSIDE for t, away in zip(owner, far, strict=True))
    return [UUID(hex=trace) for trace, name in zip(held.traces, names, strict=True) if name in by.grown]


def constant(text: LiteralString) -> sql.SQL:
    """A constant of `flagged_rules` as SQL; never anything that was sent."""
    return sql.SQL(text)
