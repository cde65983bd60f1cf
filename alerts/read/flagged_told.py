"""By what a monitor's responses count as flagged: the rule of its metric with its limits filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from psycopg import sql

from alerts.drift.fields import BANDS, BY_KEY, EDGES, OWN, Side
from alerts.monitors.states import Kind as MetricKind
from alerts.monitors.types import Categories, Definition, Metric, Window
from alerts.read.flagged_rules import CATEGORIES, QUANTILE, RULES, Rule, Source, shown
from alerts.read.flagged_sql import IDS, SCORES, Flagging, constant, scored, source_of
from alerts.read.judges import low_limit, read_judges
from alerts.read.series import metric_for, read_windows
from alerts.read.series_scores import OF_LOW
from alerts.read.series_sql import ceil_hour, rows_of
from evals.rubrics.kinds import BOOLEAN

TIMEOUT_MS = 8_000
# A baseline's quantile is that of so many of its last responses.
QUANTILE_ROWS = 50_000
# Of what grew: as few values as hold half of the growth, at most these.
GROWN_MOST = 5


def told_by(plain: Flagging, metric: Metric, direction: str) -> Flagging | None:
    """The flagging of a metric; None where no single response is flagged by it."""
    definition, key = cast(Definition, plain.definition), metric.key
    if key in CATEGORIES:
        return _of_categories(plain, metric, definition)
    rule = RULES.get(key)
    if rule is None:
        return None
    if rule.source is Source.SAMPLES:
        return _of_samples(plain, metric, definition, rule)
    if rule.source in SCORES:
        return _of_scores(plain, metric, definition, rule, direction)
    by = replace(plain, rule=rule, words=rule.words, flag=constant(rule.flag))
    if rule.number:
        is_over = (direction != "down") != rule.is_inverse
        limit = _quantile(by, QUANTILE if is_over else 1 - QUANTILE)
        if limit is None:
            return None
        side = "over" if is_over else "under"
        mark = sql.SQL("> %(bound)s" if is_over else "< %(bound)s")
        words = f"{rule.words} {side} {shown(limit, rule.unit)}, as 1 of 20 did before"
        return replace(by, flag=constant(rule.number) + sql.SQL(" ") + mark, params={"bound": limit}, words=words)
    if "%(bound)s" in rule.flag:
        limit = float(definition.params["limit_ms"]) * 1e6
        return replace(by, params={"bound": limit}, words=rule.words.format(limit=shown(limit, "ns")))
    if "%(names)s" in rule.flag:
        told = definition.params[key]
        names = [told] if isinstance(told, str) else list(told)
        return replace(by, params={"names": names}, words=rule.words.format(limit=", ".join(names)[:120]))
    return by


def _quantile(by: Flagging, q: float) -> float | None:
    """The quantile of the baseline's numbers, of the last so many of them; None: there are none."""
    number = constant(by.rule.number)
    inner = source_of(replace(by, flag=sql.SQL("true")), extra=number)
    query = sql.SQL(
        "SELECT percentile_cont({q}) WITHIN GROUP (ORDER BY x) FROM "
        "(SELECT x::float8 FROM ({inner}) AS i ORDER BY i.started_at DESC LIMIT {most}) AS o"
    ).format(q=sql.Literal(q), inner=inner[0], most=sql.Literal(QUANTILE_ROWS))
    params = {**inner[1], "project_id": by.project_id, "start": by.before_start, "end": by.before_end}
    found = rows_of(query, params, TIMEOUT_MS)[0][0]
    return None if found is None else float(found)


def _of_scores(plain: Flagging, metric: Metric, definition: Definition, rule: Rule, direction: str) -> Flagging | None:
    params = definition.params
    if rule.source is Source.POSTED:
        name = str(params["name"])
        by = replace(plain, rule=rule, params={"names": [name], "judges": [], "live": []}, flag=sql.SQL("true"))
        is_low = direction != "up"
        limit = _score_quantile(by, 0.1 if is_low else 0.9)
        if limit is None:
            return None
        words = rule.words.format(limit=f"{limit:g}", side="or lower" if is_low else "or higher", name=name)
        mark = sql.SQL("r.y <= %(low)s") if is_low else sql.SQL("r.y >= %(low)s")
        return replace(by, words=words, flag=mark, params={**by.params, "low": limit})
    judge = read_judges(plain.project_id, [str(params["judge"])]).get(str(params["judge"]))
    if judge is None:
        return None
    live = [judge.live_version_id] if judge.live_version_id is not None else []
    told: dict[str, Any] = {"judges": [judge.id], "live": live, "names": []}
    if rule.source is Source.FLAGS:
        return replace(
            plain, rule=rule, words=rule.words.format(name=judge.name), flag=constant(rule.flag), params=told
        )
    criterion = judge.criterion(str(params["criterion"]))
    if criterion is None:
        return None
    by = replace(plain, rule=rule, params={**told, "names": [criterion.key]}, flag=sql.SQL("true"))
    low = low_limit(criterion, params.get("at_most") if metric.key in OF_LOW else None)
    if low is None:
        found = _score_quantile(by, 0.1)
        # Where even the tenth lowest of the baseline is at the top of the scale, all below it.
        low = None if found is None else min(found, float(criterion.scale.high) - 1)
    if low is None:
        return None
    name = f"{criterion.title} of {judge.name}"
    words = rule.words.format(limit=f"{low:g}", name=name)
    if criterion.scale.kind == BOOLEAN:
        words = f"got “no” for {name}"
    return replace(by, words=words, flag=sql.SQL("r.y <= %(low)s"), params={**by.params, "low": low})


def _score_quantile(by: Flagging, q: float) -> float | None:
    rows, more = scored(by)
    query = sql.SQL(
        "SELECT percentile_disc({q}) WITHIN GROUP (ORDER BY y) FROM (SELECT r.y FROM "
        "(SELECT %(start)s::timestamptz AS s, %(end)s::timestamptz AS e) AS c CROSS JOIN LATERAL ({rows}) AS r "
        "ORDER BY r.started_at DESC LIMIT {most}) AS o"
    ).format(q=sql.Literal(q), rows=rows, most=sql.Literal(QUANTILE_ROWS))
    params = {**more, "project_id": by.project_id, "start": by.before_start, "end": by.before_end}
    found = rows_of(query, params, TIMEOUT_MS)[0][0]
    return None if found is None else float(found)


def _of_categories(plain: Flagging, metric: Metric, definition: Definition) -> Flagging | None:
    grown = _grown(plain, metric, definition)
    if not grown:
        return None
    column, kinds = CATEGORIES[metric.key]
    rule = Rule(Source.CALLS, f"have a call of what grew: {_names_of(grown)}", kinds=kinds)
    params = {"grown": [each for each in grown if each is not None]}
    return replace(plain, rule=rule, words=rule.words, flag=_is_grown(constant(column), grown), params=params)


def _of_samples(plain: Flagging, metric: Metric, definition: Definition, rule: Rule) -> Flagging | None:
    params = definition.params
    if metric.key == "embeddings":
        name = f"{'output' if params.get('side') == 'output' else 'input'}_topic"
        definition = replace(definition, metric="inputs_and_outputs", params={"field": name, **_encoder(params)})
        told = metric_for(plain.project_id, definition)
        if told is None:
            return None
        metric = told
    grown = _grown(plain, metric, definition)
    if not grown:
        return None
    name = str(definition.params["field"])
    by = replace(plain, rule=rule, words=rule.words.format(names=_names_of(grown)), grown=grown, definition=definition)
    if name.endswith("_topic"):
        return replace(by, side=cast(Side, name.partition("_")[0]), flag=IDS)
    held: dict[str, Any] = {"grown": [each for each in grown if each is not None]}
    if name.startswith(OWN):
        column: sql.Composable = sql.SQL("s.fields ->> %(key)s")
        held["key"] = name[len(OWN) :]
    elif name == "tools":
        column = sql.SQL("coalesce(nullif(left(array_to_string(s.tools, ' + '), 200), ''), 'none')")
    elif BY_KEY[name].is_number:
        column = sql.SQL("(%(bands)s::text[])[1 + width_bucket({}::bigint, %(edges)s::bigint[])]").format(
            sql.Identifier("s", BY_KEY[name].column)
        )
        held |= {"bands": list(BANDS), "edges": list(EDGES)}
    else:
        column = sql.Identifier("s", BY_KEY[name].column)
    return replace(by, flag=_is_grown(column, grown), params=held)


def _encoder(params: Mapping[str, Any]) -> dict[str, Any]:
    return {"encoder": params["encoder"]} if params.get("encoder") else {}


def _grown(by: Flagging, metric: Metric, definition: Definition) -> tuple[str | None, ...]:
    """The values whose share grew, largest growth first: as few as hold half of it, at most `GROWN_MOST`."""
    if metric.kind is not MetricKind.CATEGORY:
        return ()
    # Whole hours: sums by the minute are kept for days, by the hour for months.
    spans = [
        Window(ceil_hour(start - timedelta(hours=1, microseconds=-1)), ceil_hour(end))
        for start, end in ((by.before_start, by.before_end), (by.start, by.end))
    ]
    if spans[0].end > spans[1].start:
        spans[0] = replace(spans[0], end=spans[1].start)
    readings = read_windows(by.project_id, "UTC", metric, definition, spans)
    before, now = (dict(each.data.counts) if isinstance(each.data, Categories) else {} for each in readings)
    n_before, n_now = sum(before.values()), sum(now.values())
    if not n_now:
        return ()
    growth = {name: k / n_now - (before.get(name, 0) / n_before if n_before else 0.0) for name, k in now.items()}
    ranked = sorted(((g, name) for name, g in growth.items() if g > 0), key=lambda each: (-each[0], str(each[1])))
    whole, held, found = sum(g for g, _ in ranked), 0.0, []
    for g, name in ranked[:GROWN_MOST]:
        found.append(name)
        held += g
        if held >= whole / 2:
            break
    return tuple(found)


def _names_of(grown: Sequence[str | None]) -> str:
    return ", ".join("unknown" if each is None else each[:60] for each in grown)


def _is_grown(column: sql.Composable, grown: Sequence[str | None]) -> sql.Composable:
    looks = sql.SQL("{} = ANY (%(grown)s::text[])").format(column)
    return sql.SQL("({} OR {} IS NULL)").format(looks, column) if None in grown else looks
