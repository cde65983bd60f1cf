"""Filling a store with many spans: through the public endpoint first, then by copying what it stored inside PostgreSQL.

A copy is the same spans under other trace ids, at another time of the same day. It takes the road of no sender, so it
says nothing about ingest; rows, indexes and sizes are the same as if they had been sent. The feed is told of each copy,
so roll-ups, sessions, behaviour and the search index are what they would be, once the worker has taken it all in
(`settle`). Signals of users are rows made from traces that are there, spread over them at random.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import psycopg

from benchmarks._client import Wire, drive, parcel
from benchmarks._product import Product
from benchmarks.corpus import Corpus, TraceMaker, pack

COPIED = ("traces_trace", "traces_span", "traces_payload")
# Copy k lies k times this many seconds later in its day, so that copies do not fall on the same instant.
STEP_S = 977
DAY_US = 86_400_000_000
MARGIN_US = 600_000_000  # a trace that starts this close to midnight is moved to the day's beginning
# Tells whoever takes changed traces in (1 roll-ups, 2 search, 5 behaviour) of a copy, 200 traces an entry.
_TELL = """
    INSERT INTO traces_feed (consumer, project_id, feed_id, trace_ids)
    SELECT consumer, project_id, (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 1048576 + part, trace_ids
    FROM (
        SELECT project_id, part, array_agg(md5(trace_id::text || %(salt)s)::uuid) AS trace_ids
        FROM (
            SELECT project_id, trace_id, row_number() OVER (PARTITION BY project_id ORDER BY started_at) / 200 AS part
            FROM bench_base
        ) AS numbered
        GROUP BY project_id, part
    ) AS parts
    CROSS JOIN unnest(ARRAY[1, 2, 5]) AS consumer
"""
_WAITING = """
    SELECT (SELECT count(*) FROM traces_feed WHERE consumer IN (1, 2, 5))
        + (SELECT count(*) FROM traces_behaviour_due WHERE due_at <= now())
        + (SELECT count(*) FROM jobs_job WHERE kind LIKE 'outcome%' AND state IN ('pending', 'running'))
"""
# Measures to read on the page of outcomes, as shipped.
OUTCOMES = ("conversion", "resolution", "order-value", "cost-per-resolved-query", "time-to-value")
# Signals {first} to {last}, each about a trace drawn at random: of ten three are thumbs (nine of ten up), then ratings,
# corrections, follow-ups, copied, completed, conversions, free text; a third are told about the session. One in a
# hundred waits for a trace that is not here.
_SIGNALS = """
    INSERT INTO traces_signal (
        project_id, signal_key, signal_id, target_kind, trace_id, session_id, name, kind, vote, value_number,
        value_text, comment, source, author, happened_at, is_dated, received_at, updated_at, unit_key, bound_at, feature
    )
    SELECT t.project_id, md5('signal ' || n)::uuid, n, CASE WHEN by_session THEN 3 ELSE 1 END,
        CASE WHEN is_lost THEN md5('lost ' || n)::uuid WHEN NOT by_session THEN t.trace_id END,
        CASE WHEN by_session THEN t.session_id END,
        (ARRAY['thumbs_up', 'thumbs_up', 'thumbs_up', 'rating', 'correction', 'follow_up', 'copied', 'task_completed',
            'conversion', 'comment'])[1 + dice],
        (ARRAY[1, 1, 1, 2, 3, 4, 6, 10, 11, 12])[1 + dice],
        CASE WHEN dice < 3 THEN CASE WHEN n / 10 % 10 = 7 THEN -1 ELSE 1 END END,
        CASE dice WHEN 3 THEN 1 + n / 10 % 5 WHEN 8 THEN 10 + n % 90 END,
        CASE WHEN dice IN (4, 9) THEN 'The page says something else, in number ' || n END,
        CASE WHEN n % 25 = 0 THEN 'A comment of the usual length, such as people leave below an answer.' END,
        1, t.user_id, t.started_at + interval '40 seconds', true, t.started_at + interval '41 seconds',
        t.started_at + interval '41 seconds',
        CASE WHEN NOT is_lost THEN coalesce(md5(t.session_id)::uuid, t.trace_id) END,
        CASE WHEN NOT is_lost THEN t.started_at + interval '41 seconds' END, t.feature
    FROM (
        SELECT n, (hashint8(n)::bigint & 2147483647) %% (SELECT count(*) FROM bench_traces) AS place, n % 10 AS dice,
            n % 3 = 0 AS by_session, n % 100 = 99 AND n % 3 <> 0 AS is_lost
        FROM generate_series({first}::bigint, {last}::bigint) AS n
    ) AS drawn
    JOIN bench_traces AS t USING (place)
"""


def send(product: Product, spans: int, seed: int = 1, days: float = 7.0) -> int:
    """Send `spans` new spans through /v1/traces in batches; how many were acknowledged."""
    end_s = time.time() // 86_400 * 86_400
    corpus = Corpus(seed, spans, end_s=end_s, days=days)
    parcels = (parcel(batch.body, batch.spans, 1) for batch in corpus.batches())
    tally = drive(product.url, product.key, parcels, connections=2)
    if tally.spans_acked != corpus.totals.counts["spans"]:
        raise RuntimeError(f"only {tally.spans_acked} of {spans} spans were acknowledged: {dict(tally.status)}")
    return tally.spans_acked


def multiply(product: Product, spans: int, say: Callable[[str], None]) -> int:
    """Copy what is there until there are `spans`; how many there are."""
    with product.connect() as connection:
        here = product.stored_spans()
        connection.execute(
            "CREATE TEMPORARY TABLE bench_base AS SELECT project_id, trace_id, started_at FROM traces_trace"
        )
        connection.execute("CREATE INDEX ON bench_base (project_id, trace_id)")
        connection.execute("ANALYZE bench_base")
        base, copy, total = here, 1, here
        while total < spans:
            for table in COPIED:
                connection.execute(_copy_statement(connection, table, copy, f"{here}-{copy}").encode())
            connection.execute(_TELL, {"salt": f"-{here}-{copy}"})
            total += base
            if copy % 10 == 0 or total >= spans:
                say(f"{total:,} spans after {copy} copies")
            copy += 1
    return total


def add_signals(product: Product, signals: int, say: Callable[[str], None], slice_rows: int = 50_000) -> None:
    """Put signals about the traces that are there until there are so many, and mark whose behaviour they change."""
    with product.connect() as connection:
        here = product.one("SELECT count(*) FROM traces_signal")
        if here >= signals:
            return
        connection.execute(
            "CREATE TEMPORARY TABLE bench_traces AS"
            " SELECT row_number() OVER (ORDER BY md5(trace_id::text)) - 1 AS place, project_id, trace_id, session_id,"
            " user_id, feature, started_at FROM traces_trace WHERE span_count < 100"
        )
        connection.execute("CREATE UNIQUE INDEX ON bench_traces (place)")
        connection.execute("ANALYZE bench_traces")
        for first in range(here + 1, signals + 1, slice_rows):
            last = min(first + slice_rows - 1, signals)
            connection.execute(_SIGNALS.replace("%%", "%").format(first=first, last=last).encode())
            say(f"{last:,} signals")
        connection.execute(
            "INSERT INTO traces_behaviour_due (project_id, unit_key, session_id, due_at)"
            " SELECT DISTINCT ON (project_id, session_id) project_id, md5(session_id)::uuid, session_id, now()"
            " FROM bench_traces WHERE session_id IS NOT NULL ON CONFLICT DO NOTHING"
        )


def define_outcomes(product: Product) -> None:
    """Define some measures, where there are none; the sessions that are there are counted for them by the worker."""
    if product.one("SELECT count(*) FROM traces_outcome"):
        return
    wire = Wire(product.url, timeout_s=30)
    headers = {"Authorization": f"Bearer {product.key}", "Content-Type": "application/json"}
    for preset in OUTCOMES:
        status, _, told = wire.ask("POST", "/api/v1/outcomes", json.dumps({"preset": preset}).encode(), headers)
        if status != 201:
            raise RuntimeError(f"the outcome {preset} was answered with {status}: {told[:200]!r}")
    wire.close()


def settle(product: Product, say: Callable[[str], None] = print, seconds: float = 7200.0) -> None:
    """Wait until the worker has taken everything in, then do what autovacuum does a while after a bulk load."""
    began = said = time.monotonic()
    while waiting := product.one(_WAITING):
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"{waiting} entries of the feed wait after {seconds:.0f} s: is the worker running?")
        if time.monotonic() - said > 30:
            said = time.monotonic()
            say(f"{waiting:,} entries of the feed wait for the worker")
        time.sleep(0.5)
    with product.connect() as connection:
        connection.execute("VACUUM ANALYZE")


def _columns(connection: psycopg.Connection[Any], table: str) -> list[str]:
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = %s "
        "ORDER BY ordinal_position",
        (table,),
    )
    return [str(row[0]) for row in rows]


def _copy_statement(connection: psycopg.Connection[Any], table: str, copy: int, salt: str) -> str:
    moved_us = copy * STEP_S * 1_000_000 % (DAY_US - MARGIN_US)
    of_day = "(extract(epoch FROM b.started_at) * 1000000)::bigint % 86400000000"
    # A whole trace moves by one shift, and stays within its day: later, or earlier where that would pass midnight.
    shift = (
        f"(CASE WHEN {of_day} + {moved_us} < {DAY_US - MARGIN_US} THEN {moved_us} ELSE {moved_us} - {DAY_US} "
        f"+ {MARGIN_US} END) * interval '1 microsecond'"
    )
    changed = {
        "trace_id": f"md5(x.trace_id::text || '-{salt}')::uuid",
        "duplicate_of_trace": f"md5(x.duplicate_of_trace::text || '-{salt}')::uuid",
        "response_id": f"x.response_id || '-{salt}'",
        "session_id": f"x.session_id || '-{salt}'",
        "started_at": f"x.started_at + {shift}",
        "last_started_at": f"x.last_started_at + {shift}",
        "ended_at": f"x.ended_at + {shift}",
    }
    columns = _columns(connection, table)
    values = ", ".join(changed.get(name, f"x.{name}") for name in columns)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table} AS x "
        "JOIN bench_base AS b ON b.project_id = x.project_id AND b.trace_id = x.trace_id"
    )


def send_giant(product: Product, spans: int, seed: int) -> str:
    """One trace of `spans` spans, as an agent that ran for hours; its id in hex."""
    corpus = Corpus(seed, spans, end_s=time.time(), days=0.5)
    maker = TraceMaker(corpus, int((time.time() - 4 * 3600) * 1e9))
    root = maker.open("agent.session", "AGENT", None)
    while len(maker.done) < spans - 12:
        turn = maker.open(f"turn {len(maker.done)}", "CHAIN", root)
        question = maker.writer.text(120)
        maker.converse(turn, maker.look_up(turn, question) + question, None)
        maker.close(turn)
    while len(maker.done) < spans - 1:
        maker.step("memory.save", "CHAIN", root, 1, 4)
    maker.close(root)
    done = maker.done
    parcels = [pack(done[at : at + 512]) for at in range(0, len(done), 512)]
    tally = drive(product.url, product.key, [parcel(p.body, p.spans, 1) for p in parcels], connections=2)
    if tally.spans_acked != spans:
        raise RuntimeError(f"only {tally.spans_acked} of {spans} spans were acknowledged: {dict(tally.status)}")
    return maker.trace_id.hex()
