"""Rows of scores that programs gave: put by the caller's ids, removed, and dated once their target came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
from django.db import connection, transaction

from evals.write.ids import first_id_at, new_ids
from evals.write.scores import API, TEXT, NewScore, Put
from telltale.lib import clock
from telltale.lib.sql import load
from traces.masks import keeps_content, mask_id, mask_text, mask_value

# A target that comes later than this after its score is found by its id alone, not by a window of time.
DATED_WITHIN = timedelta(days=7)


def put_given(project_id: int, items: Sequence[NewScore]) -> list[Put | None]:
    """Keep scores of programs, in one statement. None for one whose caller's id is that of a judge's or person's score.

    Each caller's id may be among `items` once. One that is known keeps its own id and takes every value of the new one.
    """
    if not items:
        return []
    items = [_masked(project_id, item) for item in items]
    # In the order of the callers' ids, so that two requests never wait for each other in a circle.
    order = sorted(range(len(items)), key=lambda at: items[at].external_id or "")
    ids = new_ids(len(items))
    rows = _rows(items, order, ids)
    params: dict[str, Any] = {"project_id": project_id, "source": API, "now": clock.now(), "rows": rows}
    with connection.cursor() as cursor:
        cursor.execute(load("evals", "put_scores"), params)
        kept = cursor.fetchall()
    by_external = {
        external: Put(score_id, not is_update) for score_id, external, is_update in kept if external is not None
    }
    by_id = {score_id: Put(score_id, True) for score_id, external, _ in kept if external is None}
    found: list[Put | None] = [None] * len(items)
    for at, score_id in zip(order, ids, strict=True):
        external = items[at].external_id
        found[at] = by_id.get(score_id) if external is None else by_external.get(external)
    return found


def _masked(project_id: int, item: NewScore) -> NewScore:
    """The score as the project may keep it; without content its number, truth or label, and no words."""
    if not keeps_content(project_id):
        numbers = {name: told for name, told in (item.metadata or {}).items() if isinstance(told, bool | int | float)}
        words = "" if item.data_type == TEXT else None
        item = replace(item, comment=words, evidence=(), metadata=numbers or None)
    return replace(
        item,
        name=mask_text(project_id, item.name),
        label=item.label and mask_text(project_id, item.label),
        comment=item.comment and mask_text(project_id, item.comment),
        evidence=tuple(mask_text(project_id, quote) for quote in item.evidence),
        author=item.author and mask_text(project_id, item.author),
        external_id=item.external_id and mask_id(project_id, item.external_id),
        metadata=mask_value(project_id, item.metadata),
    )


def _rows(items: Sequence[NewScore], order: Sequence[int], ids: Sequence[int]) -> str:
    rows = []
    for at, score_id in zip(order, ids, strict=True):
        item = items[at]
        rows.append(
            {
                "score_id": score_id,
                "target_kind": item.target_kind,
                "trace_id": item.trace_id,
                "span_id": item.span_id,
                "session_id": item.session_id,
                "started_at": item.started_at or item.made_at,
                "name": item.name,
                "data_type": item.data_type,
                "number": item.number,
                "label": item.label,
                "comment": item.comment,
                "evidence": list(item.evidence) or None,
                "author": item.author,
                "author_id": item.author_id,
                "key_id": item.key_id,
                "external_id": item.external_id,
                "metadata": item.metadata,
                "made_at": item.made_at,
            }
        )
    return orjson.dumps(rows).decode()


def delete_score(project_id: int, score_id: int) -> bool:
    """Remove a score that a program gave; False where there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM evals_score WHERE project_id = %s AND score_id = %s AND source = %s",
            [project_id, score_id, API],
        )
        return bool(cursor.rowcount)


def date_scores(limit: int) -> int:
    """Give scores that came before their targets these targets' start, where they have come since; how many."""
    with transaction.atomic(), connection.cursor() as cursor:
        since = first_id_at(clock.now() - DATED_WITHIN)
        cursor.execute(load("evals", "date_scores"), {"since": since, "limit": limit})
        return int(cursor.rowcount)
