"""Made-up samples for drift: vectors in groups, rows in the tables, traces through the public door."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import numpy as np
from psycopg.types.json import Jsonb

from alerts.drift.fields import SIDE_NO
from alerts.drift.packing import pack
from alerts.drift.reference import Facts
from telltale.lib import clock
from telltale.lib.db import raw_cursor

ENCODER = "lexical:n-grams:1/32"
DIMS = 32


def directions(k=4, dims=DIMS, seed=1):
    """`k` directions at right angles."""
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(dims, dims)))
    return basis[:k]


def clusters(n, shares, *, seed, spread=0.08, k=4):
    """`n` vectors of length 1 about directions, so many of each by `shares`."""
    random = np.random.default_rng(seed)
    centres = directions(k)
    which = random.choice(len(shares), size=n, p=np.array(shares) / sum(shares))
    rows = centres[which] + random.normal(0, spread, size=(n, DIMS))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), which


def hex_ids(n, start=0):
    """Ids of traces in order."""
    return tuple(UUID(int=start + at + 1).hex for at in range(n))


def facts(n, *, categories=None, numbers=None):
    return Facts(n, categories or {}, numbers or {})


def day_start(days_ago):
    """Midnight UTC so many days ago."""
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days_ago)


_SAMPLE = """
    INSERT INTO alerts_sample (
        project_id, trace_id, started_at, pi, draw, feature, model, finish_reason, is_error, input_chars, output_chars,
        input_tokens, output_tokens, input_language, output_language, tools, fields, taken_at
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, 'stop', false, %s, %s, 100, 50, %s, 'en', %s, %s, now())
"""
_VECTOR = """
    INSERT INTO alerts_vector (project_id, encoder, side, trace_id, started_at, feature, draw, data)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


def store_day(
    project, days_ago, n, shares, *, seed, feature="returns", pi=1.0, encoder=ENCODER, language="en", chars=200,
    tools=(), fields=None, sides=("input", "output"), model="gpt-4o",
):  # fmt: skip
    """`n` samples spread over a day, with vectors of both sides about `shares`; their ids."""
    rows, _ = clusters(n, shares, seed=seed)
    ids = [uuid4() for _ in range(n)]
    start, step = day_start(days_ago), timedelta(hours=23) / max(n, 1)
    random = np.random.default_rng([seed, 7])
    samples, vectors = [], []
    for at, (trace_id, row) in enumerate(zip(ids, rows, strict=True)):
        started_at, draw = start + at * step, float(random.uniform(0, pi))
        length = int(chars * random.uniform(0.5, 1.5))
        samples.append(
            (project.pk, trace_id, started_at, pi, draw, feature, model, length, length, language, list(tools),
             Jsonb(fields or {}))
        )  # fmt: skip
        vectors += [
            (project.pk, encoder, SIDE_NO[side], trace_id, started_at, feature, draw, pack(row)) for side in sides
        ]
    with raw_cursor() as cursor:
        cursor.executemany(_SAMPLE, samples)
        cursor.executemany(_VECTOR, vectors)
    return ids


def fetch(query, *params):
    """All rows of one query."""
    with raw_cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()
