"""Scores of judges, people and the API, and what estimates sum of them. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor

from evals.judges.verdict import Verdict
from evals.write.documents import DocumentScore, put_documents, set_document_chances
from evals.write.ids import new_ids
from evals.write.judgements import RESULT, Judgement, Purpose, read_judgements
from evals.write.score_sums import FLAG, ScoreSums
from telltale.lib import clock
from telltale.lib.db import raw_cursor

JUDGE, PERSON, API = 1, 2, 3
NUMERIC, BOOLEAN, LABEL, TEXT = 1, 2, 3, 4
TEXT_MAX = 20_000

_COLUMNS = (
    "project_id", "score_id", "source", "target_kind", "trace_id", "span_id", "session_id", "started_at", "name",
    "data_type", "number", "label", "comment", "evidence", "judge_id", "judge_version_id", "rubric_version_id",
    "judgement_id", "pi", "made_at", "updated_at",
)  # fmt: skip
_COPY = f"COPY evals_score ({', '.join(_COLUMNS)}) FROM STDIN"


@dataclass(frozen=True, slots=True)
class Scored:
    """A judgement that ended with a verdict."""

    row: Judgement
    verdict: Verdict
    rubric_version_id: int
    is_flagged: bool | None


def write_verdicts(cursor: Cursor[Any], scored: Sequence[Scored]) -> int:
    """Write the scores of judgements of one project that just ended as scored, and their hourly sums; how many scores.

    Criteria the judge was unsure of, repeats and probes give none. Sums are of what a design drew from traffic.
    """
    kept = [each for each in scored if each.row.repeat == 0]
    if not kept:
        return 0
    now = clock.now()
    project_id = kept[0].row.project_id
    sums = ScoreSums(project_id)
    documents: list[DocumentScore] = []
    rows: list[tuple[Any, ...]] = []
    for each in kept:
        row = each.row
        pi = row.pi if row.purpose in (Purpose.LIVE, Purpose.BACKFILL) and row.target_kind != RESULT else None
        for score in each.verdict.scores:
            if score.is_unsure or (score.number is None and score.label is None):
                continue
            rows.append((
                JUDGE, row.target_kind, row.target_id, row.span_id, row.session_id or None, row.started_at, score.key,
                score.data_type, score.number, score.label, score.reason[:TEXT_MAX] or None,
                list(score.evidence) or None, row.judge_id, row.judge_version_id, each.rubric_version_id,
                row.judgement_id, row.pi, now, now,
            ))  # fmt: skip
            if pi is not None:
                sums.add(row, score.key, score.number, score.label, pi)
        if pi is not None and each.is_flagged is not None:
            sums.add(row, FLAG, float(each.is_flagged), None, pi)
        if row.target_kind != RESULT:
            documents += [
                DocumentScore(
                    row.target_id, one.span_id or row.span_id, one.rank, JUDGE, one.relevance, row.started_at,
                    row.judge_version_id, one.document_id, one.retrieval_score, pi, row.feature,
                )
                for one in each.verdict.documents
            ]  # fmt: skip
    with cursor.copy(_COPY) as copy:
        for score_id, values in zip(new_ids(len(rows)), rows, strict=True):
            copy.write_row((project_id, score_id, *values))
    sums.write(cursor)
    if documents:
        put_documents(project_id, documents)
    return len(rows)


_SCORES_OF = """
SELECT judgement_id, name, number, label FROM evals_score
WHERE project_id = %(project_id)s AND judgement_id = ANY(%(ids)s)
"""
_SET_PI = """
WITH changed AS (
    UPDATE evals_judgement AS j SET pi = new.pi, stratum = new.stratum
    FROM unnest(%(ids)s::bigint[], %(pis)s::float8[], %(strata)s::text[]) AS new(id, pi, stratum)
    WHERE j.project_id = %(project_id)s AND j.judgement_id = new.id
    RETURNING j.judgement_id, j.pi
)
UPDATE evals_score AS s SET pi = changed.pi, updated_at = %(now)s FROM changed
WHERE s.project_id = %(project_id)s AND s.judgement_id = changed.judgement_id
"""
_LOCK = """
SELECT judgement_id, is_flagged, state FROM evals_judgement
WHERE project_id = %(project_id)s AND judgement_id = ANY(%(ids)s)
ORDER BY judgement_id
FOR UPDATE
"""


def set_inclusion(project_id: int, chances: Mapping[int, float], strata: Mapping[int, str] | None = None) -> int:
    """Give judgements (by id) the inclusion probability that a second draw came to; how many scores it reweighed.

    `strata`: the stratum they lie in from then on, where it is another one.
    """
    if not chances:
        return 0
    ids = sorted(chances)
    params: dict[str, Any] = {"project_id": project_id, "ids": ids, "pis": [chances[each] for each in ids]}
    with raw_cursor() as cursor:
        cursor.execute(_LOCK, params)
        flags = {row[0]: row[1] for row in cursor.fetchall() if row[2] == "scored"}
        before = {row.judgement_id: row for row in read_judgements(project_id, ids)}
        cursor.execute(_SCORES_OF, params)
        scores = cursor.fetchall()
        if flags:
            sums = ScoreSums(project_id)
            told = [*scores, *((each, FLAG, float(is_on), None) for each, is_on in flags.items() if is_on is not None)]
            for judgement_id, name, number, label in told:
                row = before[judgement_id]
                if row.pi is None or row.repeat or row.target_kind == RESULT:
                    continue
                sums.add(row, name, number, label, row.pi, sign=-1)
                moved = replace(row, stratum=(strata or {}).get(judgement_id, row.stratum))
                sums.add(moved, name, number, label, chances[judgement_id])
            sums.write(cursor)
        named = [(strata or {}).get(each, before[each].stratum if each in before else "") for each in ids]
        cursor.execute(_SET_PI, params | {"now": clock.now(), "strata": named})
        set_document_chances(project_id, {
            (row.target_id, row.judge_version_id): chances[each] for each, row in before.items() if row.target_kind == 1
        })  # fmt: skip
    return len(scores)


@dataclass(frozen=True, slots=True)
class NewScore:
    """A score to store. One of `trace_id` (a trace, or a result of an experiment) and `session_id` is set.

    `external_id` is the caller's; sent again it replaces. So does (review_id, name). `started_at` is the target's where
    it is known.
    """

    source: int
    target_kind: int
    name: str
    data_type: int
    number: float | None = None
    label: str | None = None
    comment: str | None = None
    evidence: tuple[str, ...] = ()
    trace_id: UUID | None = None
    span_id: int = 0
    session_id: str | None = None
    started_at: datetime | None = None
    judge_id: int | None = None
    judge_version_id: int | None = None
    rubric_version_id: int | None = None
    review_id: int | None = None
    author: str = ""
    author_id: int | None = None
    key_id: int | None = None
    external_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    made_at: datetime | None = None
    pi: float | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a score: its id, and whether it is new or replaced one."""

    score_id: int
    is_new: bool


_PUT_COLUMNS = (
    "source", "target_kind", "trace_id", "span_id", "session_id", "started_at", "name", "data_type", "number", "label",
    "comment", "evidence", "judge_id", "judge_version_id", "rubric_version_id", "review_id", "author", "author_id",
    "key_id", "external_id", "metadata", "pi",
)  # fmt: skip
_REPLACE = ", ".join(f"{name} = excluded.{name}" for name in _PUT_COLUMNS)


def _put_sql(conflict: str) -> str:
    return f"""
        INSERT INTO evals_score AS s (project_id, score_id, made_at, updated_at, {", ".join(_PUT_COLUMNS)})
        VALUES (%(project_id)s, %(score_id)s, %(made_at)s, %(now)s, {", ".join(f"%({name})s" for name in _PUT_COLUMNS)})
        {conflict}
        RETURNING score_id, score_id = %(score_id)s
    """  # noqa: S608


_PUT_PLAIN = _put_sql("")
_PUT_EXTERNAL = _put_sql(
    "ON CONFLICT (project_id, external_id) WHERE external_id IS NOT NULL "
    f"DO UPDATE SET updated_at = excluded.updated_at, {_REPLACE}"
)
_PUT_REVIEW = _put_sql(
    "ON CONFLICT (review_id, name) WHERE review_id IS NOT NULL "
    f"DO UPDATE SET updated_at = excluded.updated_at, {_REPLACE}"
)


def put_scores(project_id: int, scores: Sequence[NewScore]) -> list[Put]:
    """Store scores of people, programs and imports; one answer each, in order. Values are the caller's to check.

    Of two with one external id in a call the later counts.
    """
    if not scores:
        return []
    now = clock.now()
    answers: dict[int, Put] = {}
    # In one order for all callers, so that two of them never wait for each other.
    order = sorted(range(len(scores)), key=lambda at: (scores[at].external_id or "", scores[at].review_id or 0, at))
    ids = new_ids(len(scores))
    plans = (
        (_PUT_EXTERNAL, [at for at in order if scores[at].external_id is not None]),
        (_PUT_REVIEW, [at for at in order if scores[at].external_id is None and scores[at].review_id is not None]),
        (_PUT_PLAIN, [at for at in order if scores[at].external_id is None and scores[at].review_id is None]),
    )
    with raw_cursor() as cursor:
        for query, places in plans:
            if not places:
                continue
            params = [_put_params(project_id, ids[at], scores[at], now) for at in places]
            cursor.executemany(query, params, returning=True)
            for at in places:
                found = cursor.fetchone()
                assert found is not None  # noqa: S101 - every statement returns its row
                answers[at] = Put(*found)
                cursor.nextset()
    return [answers[at] for at in range(len(scores))]


def _put_params(project_id: int, score_id: int, score: NewScore, now: datetime) -> dict[str, Any]:
    values = {name: getattr(score, name) for name in _PUT_COLUMNS}
    values["evidence"] = list(score.evidence) or None
    values["metadata"] = None if score.metadata is None else orjson.dumps(dict(score.metadata)).decode()
    values["started_at"] = score.started_at or score.made_at or now
    return values | {
        "project_id": project_id,
        "score_id": score_id,
        "made_at": score.made_at or now,
        "now": now,
    }
