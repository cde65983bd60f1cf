"""Roll-ups against independent SQL over the stored spans and traces: written anew here, on purpose."""

from __future__ import annotations

from collections import Counter

import numpy as np
from django.db import connection
from psycopg.rows import dict_row

from telltale.lib.db import raw_cursor
from telltale.stats import sketch
from traces.rollup.sums import SKETCHES, SUMS

BUCKETS = (
    "input_fresh", "input_cache_read", "input_cache_write_5m", "input_cache_write_1h", "input_audio", "output_text",
    "output_reasoning", "output_audio",
)  # fmt: skip
TRUNC = {
    1: "date_trunc('minute', {at})",
    # Hours are counted from local midnight; PostgreSQL's own calendar tells when that is.
    60: "date_trunc('day', {at}, %(zone)s) + floor(extract(epoch FROM {at} - date_trunc('day', {at}, %(zone)s)) / 3600)"
    " * interval '1 hour'",
    1440: "date_trunc('day', {at}, %(zone)s)",
}
OUT = "(coalesce(s.output_text, 0) + coalesce(s.output_reasoning, 0) + coalesce(s.output_audio, 0))"
TIMED = "WHERE s.counted AND s.duration_ns IS NOT NULL"
COUNTED = {
    "priced_count": "count(*) FILTER (WHERE s.counted AND s.cost_status = 1)",
    "unpriced_count": "count(*) FILTER (WHERE s.counted AND s.cost_status = 2)",
    "unknown_usage_count": "count(*) FILTER (WHERE s.counted AND s.cost_status = 3)",
    "partial_count": "count(*) FILTER (WHERE s.counted AND s.cost_status = 4)",
    "upper_bound_count": "count(*) FILTER (WHERE s.counted AND s.cost_status = 5)",
    **{name: f"coalesce(sum(s.{name}) FILTER (WHERE s.counted), 0)" for name in BUCKETS},
    "cost_pico": "coalesce(sum(s.cost_pico) FILTER (WHERE s.counted), 0)",
    **{
        f"cost_{name}": f"coalesce(sum(s.cost_parts[{at}]) FILTER (WHERE s.counted AND s.cost_pico IS NOT NULL), 0)"
        for at, name in enumerate(BUCKETS, 1)
    },
    "token_duration": f"coalesce(sum(s.duration_ns::numeric * {OUT}) FILTER ({TIMED}), 0)",
    "token_n": f"coalesce(sum({OUT}) FILTER ({TIMED}), 0)",
}
SPAN_SUMS = {
    "n": "count(*)",
    "errors": "count(*) FILTER (WHERE s.status = 2)",
    "failed": "0",
    "streamed": "count(*) FILTER (WHERE s.streamed)",
    "refusals": "count(*) FILTER (WHERE s.finish_reason IN ('refusal', 'content_filter'))",
    "duration_ns_sum": "coalesce(sum(s.duration_ns::numeric), 0)",
    "duration_n": "count(s.duration_ns)",
    **COUNTED,
}
DURATION = "coalesce(t.root_duration_ns, (extract(epoch FROM t.ended_at - t.started_at) * 1000000000)::bigint)"
SPAN_DIMENSIONS = (
    "s.kind, CASE WHEN s.kind IN (1, 2, 4) THEN NULL ELSE s.name END, coalesce(s.feature, t.feature), s.provider,"
    " coalesce(s.model_answered, s.model_requested), s.service, coalesce(s.environment, t.environment),"
    " coalesce(s.release, t.release), coalesce(s.prompt_name, t.prompt_name),"
    " coalesce(s.prompt_version, t.prompt_version)"
)
SPAN_NAMES = (
    "kind", "stage", "feature", "provider", "model", "service", "environment", "release", "prompt_name",
    "prompt_version",
)  # fmt: skip
TRACE_NAMES = ("feature", "service", "environment", "release", "prompt_name", "prompt_version")
JOINED = """
    FROM traces_span AS s JOIN traces_trace AS t ON t.project_id = s.project_id AND t.trace_id = s.trace_id
    WHERE s.project_id = %(project)s
"""


def rows(query, project, zone):
    with raw_cursor(dict_row) as cursor:
        cursor.execute(query, {"project": project.pk, "zone": zone})
        return cursor.fetchall()


def spans_by_sql(project, grain, zone):
    """{(bucket, *dimensions): sums} of single spans, straight from the spans."""
    at = TRUNC[grain].format(at="s.started_at")
    sums = ", ".join(f"{expression} AS {name}" for name, expression in SPAN_SUMS.items())
    keys = ", ".join(str(place) for place in range(1, 12))
    found = rows(f"SELECT {at} AS bucket, {named(SPAN_DIMENSIONS)}, {sums} {JOINED} GROUP BY {keys}", project, zone)
    return {(row["bucket"], *(row[name] for name in SPAN_NAMES)): {n: int(row[n]) for n in SPAN_SUMS} for row in found}


def named(dimensions):
    parts = split(dimensions)
    return ", ".join(f"{part} AS {name}" for part, name in zip(parts, SPAN_NAMES, strict=True))


def split(text):
    parts, depth, held = [], 0, ""
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(held.strip())
            held = ""
        else:
            held += char
    return [*parts, held.strip()]


def traces_by_sql(project, grain, zone):
    """{(bucket, *dimensions): sums} of whole traces, from the trace rows and their spans."""
    at = TRUNC[grain].format(at="t.started_at")
    inner = ", ".join(f"{expression} AS {name}" for name, expression in COUNTED.items())
    outer = ", ".join(f"coalesce(sum(u.{name}), 0) AS {name}" for name in COUNTED)
    query = f"""
        SELECT {at} AS bucket, {", ".join(f"t.{name}" for name in TRACE_NAMES)}, count(*) AS n,
            count(*) FILTER (WHERE t.error_count > 0) AS errors, count(*) FILTER (WHERE t.root_status = 2) AS failed,
            count(*) FILTER (WHERE u.streamed) AS streamed,
            count(*) FILTER (WHERE t.finish_reason IN ('refusal', 'content_filter')) AS refusals,
            coalesce(sum({DURATION}::numeric), 0) AS duration_ns_sum, count({DURATION}) AS duration_n, {outer}
        FROM traces_trace AS t
        JOIN LATERAL (
            SELECT bool_or(s.streamed) AS streamed, {inner} FROM traces_span AS s
            WHERE s.project_id = t.project_id AND s.trace_id = t.trace_id
        ) AS u ON true
        WHERE t.project_id = %(project)s GROUP BY 1, 2, 3, 4, 5, 6, 7
    """
    found = rows(query, project, zone)
    return {(row["bucket"], *(row[name] for name in TRACE_NAMES)): {n: int(row[n]) for n in SPAN_SUMS} for row in found}


def stored(project, grain, family):
    """{(bucket, *dimensions): (sums, sketches)} as the roll-ups have them."""
    names = TRACE_NAMES if family == 1 else SPAN_NAMES
    query = f"""
        SELECT r.bucket, {", ".join(f"s.{name}" for name in names)}, {", ".join(f"r.{name}" for name in SUMS)},
            {", ".join(f"r.{name} AS {name}_sketch" for name in SKETCHES)}
        FROM traces_rollup AS r
        LEFT JOIN traces_scope AS s ON s.project_id = r.project_id AND s.scope_id = r.scope_id
        WHERE r.project_id = %(project)s AND r.grain = {grain} AND s.family = {family}
    """
    found = {}
    for row in rows(query, project, "UTC"):
        key = (row["bucket"], *(row[name] for name in names))
        assert key not in found
        found[key] = (
            {name: int(row[name] or 0) for name in SUMS},
            {name: row[f"{name}_sketch"] for name in SKETCHES},
        )
    return found


def values_by_sql(project, grain, zone, which):
    """{(bucket, *dimensions): [values]} that a sketch of spans must hold."""
    at = TRUNC[grain].format(at="s.started_at")
    value, condition = {
        "duration": ("s.duration_ns", "s.duration_ns IS NOT NULL"),
        "ttft": ("s.ttft_ns", "s.ttft_ns IS NOT NULL AND s.kind IN (1, 2, 4)"),
        "length": (OUT, f"s.counted AND {OUT} > 0"),
        "tpot": (
            f"(s.duration_ns - s.ttft_ns) / ({OUT} - 1)",
            f"s.counted AND {OUT} > 1 AND s.ttft_ns <= s.duration_ns",
        ),
    }[which]
    keys = ", ".join(str(place) for place in range(1, 12))
    select = f"SELECT {at} AS bucket, {named(SPAN_DIMENSIONS)}, array_agg({value}) AS held"
    query = f"{select} {JOINED} AND {condition} GROUP BY {keys}"
    found = rows(query, project, zone)
    return {(row["bucket"], *(row[name] for name in SPAN_NAMES)): row["held"] for row in found}


def reasons_by_sql(project, grain, zone):
    """{(bucket, what, reason): n} of spans."""
    at = TRUNC[grain].format(at="s.started_at")
    found = Counter()
    for what, column in ((1, "error_type"), (2, "finish_reason")):
        select = f"SELECT {at} AS bucket, s.{column} AS reason, count(*) AS n"
        for row in rows(f"{select} {JOINED} AND s.{column} IS NOT NULL GROUP BY 1, 2", project, zone):
            found[(row["bucket"], what, row["reason"])] += row["n"]
    return dict(found)


def stored_reasons(project, grain):
    query = f"""
        SELECT bucket, what, reason, sum(n)::bigint AS n FROM traces_rollup_reason
        WHERE project_id = %(project)s AND grain = {grain} AND scope_id >= 0 GROUP BY 1, 2, 3
    """
    return {(row["bucket"], row["what"], row["reason"]): row["n"] for row in rows(query, project, "UTC")}


def users_by_sql(project, zone, part):
    query = f"""
        SELECT date_trunc('{part}', t.started_at, %(zone)s) AS bucket, t.user_id, count(*) AS n,
            count(*) FILTER (WHERE t.error_count > 0) AS errors,
            sum(t.input_fresh + t.input_cache_read + t.input_cache_write_5m + t.input_cache_write_1h + t.input_audio)
                AS input_tokens,
            sum(t.input_cache_read) AS cached_tokens,
            sum(t.output_text + t.output_reasoning + t.output_audio) AS output_tokens, sum(t.cost_pico) AS cost_pico,
            sum(t.unpriced_count) AS unpriced_count
        FROM traces_trace AS t WHERE t.project_id = %(project)s AND t.user_id IS NOT NULL GROUP BY 1, 2
    """
    return {(r.pop("bucket"), r.pop("user_id")): {k: int(v) for k, v in r.items()} for r in rows(query, project, zone)}


def stored_users(project, grain):
    query = f"SELECT * FROM traces_user_period WHERE project_id = %(project)s AND grain = {grain}"
    found = {}
    for row in rows(query, project, "UTC"):
        key = (row.pop("bucket"), row.pop("user_id"))
        found[key] = {name: int(value) for name, value in row.items() if name not in ("project_id", "grain")}
    return found


def check(project, zone="UTC", grains=(1, 60, 1440)):
    """Everything that is booked equals what SQL finds in the stored spans, to the last token and pico-dollar."""
    for grain in grains:
        for family, wanted in ((2, spans_by_sql(project, grain, zone)), (1, traces_by_sql(project, grain, zone))):
            held = stored(project, grain, family)
            assert held.keys() == wanted.keys(), (family, grain)
            for key, sums in wanted.items():
                assert {name: held[key][0][name] for name in sums} == sums, (family, grain, key)
        spans = stored(project, grain, 2)
        for which in SKETCHES:
            values = values_by_sql(project, grain, zone, which)
            for key, (_, sketches) in spans.items():
                expected = sketch.of_values(map(int, values.get(key, [])))
                assert np.array_equal(sketch.decode(sketches[which]), sketch.decode(expected)), (which, grain, key)
        assert stored_reasons(project, grain) == reasons_by_sql(project, grain, zone)
    assert stored_users(project, 1440) == users_by_sql(project, zone, "day")
    assert stored_users(project, 43200) == users_by_sql(project, zone, "month")
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traces_ledger WHERE project_id = %s", [project.pk])
        ledgers = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM traces_trace WHERE project_id = %s", [project.pk])
        assert ledgers == cursor.fetchone()[0]
