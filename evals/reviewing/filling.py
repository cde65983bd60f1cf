"""Filling queues: what judges flagged, thumbs-down, errors, a random sample, a calibration task, by hand.

What a judge flags, and what programs score for end users, is told by the database in the transaction that writes it,
and taken away in the transaction that queues it: nothing is skipped, nothing comes twice. Errors and random samples are
looked at when a trace has been quiet (`consider`), in the transaction that decides on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from evals.models import ReviewQueue
from evals.read import review as read
from evals.read.review import QueueView
from evals.reviewing.config import (
    CALIBRATION,
    ERRORS,
    FEEDBACK,
    FLAGGED,
    RANDOM,
    RULES,
    THUMBS_DOWN,
    Enough,
    QueueConfig,
    RefusedReview,
    clean_text,
    is_thumb_down,
    stored_config,
)
from evals.reviewing.drawing import allocation, draw, spreads_of, wanted_of
from evals.rubrics import Criterion
from evals.sampling.draw import hash_share
from evals.sampling.signals import THUMB_NAMES
from evals.write import review as write
from evals.write.review import Feedback, NewItem
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from telltale.projects.models import Project
from traces import erasure
from traces.masks import mask_text
from traces.signalling import Placed

FLAGGED_AT_ONCE = 500
# Of a new queue: so many scores of the last days are looked through.
FEEDBACK_MAX = 20_000
# Judged traces that a calibration task draws from: more are drawn from the newest so many, and the page says so.
POPULATION_MAX = 200_000
# A score may come before its trace; so long it waits for it.
FEEDBACK_WAITS = timedelta(days=1)
# A rule queue begins with what was flagged in the last days.
LOOK_BACK_DAYS = 7


def fill() -> int:
    """Queue what was flagged or scored low since the last time, in all projects; how many items are new."""
    made = 0
    for query, work in (
        ("SELECT DISTINCT project_id FROM evals_flagged", _fill_flagged),
        ("SELECT DISTINCT project_id FROM evals_feedback", _fill_feedback),
        ("SELECT DISTINCT project_id FROM evals_told_signal", _fill_signals),
    ):
        with raw_cursor() as cursor:
            cursor.execute(query)
            project_ids = [row[0] for row in cursor.fetchall()]
        for project_id in project_ids:
            taken = FLAGGED_AT_ONCE
            while taken >= FLAGGED_AT_ONCE:
                taken, new = work(project_id)
                made += new
    return made


def has_flagged() -> bool:
    """Whether something flagged waits to be queued."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT 1 FROM evals_flagged)")
        row = cursor.fetchone()
    return bool(row and row[0])


@transaction.atomic
def _fill_flagged(project_id: int) -> tuple[int, int]:
    told = write.take_flagged(project_id, FLAGGED_AT_ONCE)
    if not told:
        return 0, 0
    queues = [queue for queue in read.list_queues(project_id) if queue.kind == RULES]
    new = 0
    for queue in queues:
        config = stored_config(queue.config)
        wanted = [judgement_id for judgement_id, judge_id in told if queue.judge_id in (None, judge_id)]
        if FLAGGED in config.rules and wanted:
            new += _queue_judged(queue, config, _judgements(project_id, ids=wanted))
    return len(told), new


@transaction.atomic
def _fill_feedback(project_id: int) -> tuple[int, int]:
    taken, told = write.take_feedback(project_id, FLAGGED_AT_ONCE, clock.now() - FEEDBACK_WAITS)
    queues = [queue for queue in read.list_queues(project_id) if queue.kind == RULES] if told else []
    return taken, sum(_queue_feedback(queue, told) for queue in queues)


def hear(project_id: int, signals: Sequence[Placed]) -> None:
    """Remember signals about traces for the queues that wait for such, in the transaction that changes them."""
    told = [
        (one.key, one.name, one.vote == -1)
        for one in signals
        if one.vote == -1 or (one.vote is None and (one.number is not None or one.label is not None))
    ]
    write.tell_signals(project_id, told)


@transaction.atomic
def _fill_signals(project_id: int) -> tuple[int, int]:
    taken, told = write.take_told_signals(project_id, FLAGGED_AT_ONCE)
    queues = [queue for queue in read.list_queues(project_id) if queue.kind == RULES] if told else []
    return taken, sum(_queue_feedback(queue, told) for queue in queues)


def _is_wanted(config: QueueConfig, each: Feedback) -> bool:
    """Whether a score or a signal is the thumbs-down that a queue waits for."""
    if each.vote is not None and config.feedback == FEEDBACK:
        return each.vote == -1
    return is_thumb_down(config, each.name, each.number, each.label)


def _queue_feedback(queue: QueueView, told: Sequence[Feedback]) -> int:
    config = stored_config(queue.config)
    if THUMBS_DOWN not in config.rules:
        return 0
    items = [
        NewItem(
            trace_id=each.trace_id,
            started_at=each.started_at,
            span_id=each.span_id,
            feature=each.feature,
            model=each.model,
            prompt_version=each.prompt_version,
            reason=f"thumbs-down ({each.name})",
            stratum="thumbs-down",
            priority=_priority(queue, config, each.trace_id, each.started_at),
            wanted=wanted_of(queue.reviewers_per_item, queue.double_share, config.salt, each.trace_id),
        )
        for each in told
        if _is_wanted(config, each)
        and config.feature in ("", each.feature)
        and hash_share(config.salt, "review", each.trace_id) < config.share
    ]
    return write.add_items(queue.project_id, queue.id, items)


def fill_new(queue: QueueView) -> int:
    """Fill a queue that was just made with what is there already; how many items."""
    config = stored_config(queue.config)
    if queue.kind == CALIBRATION:
        return draw_calibration(queue)
    made, since = 0, clock.now() - timedelta(days=LOOK_BACK_DAYS)
    if queue.kind == RULES and FLAGGED in config.rules:
        rows = _judgements(queue.project_id, judge_id=queue.judge_id, since=since, flagged=True)
        made += _queue_judged(queue, config, rows)
    if queue.kind == RULES and THUMBS_DOWN in config.rules:
        names = list(THUMB_NAMES) if config.feedback == FEEDBACK else [config.feedback]
        params = {"project_id": queue.project_id, "names": names, "since": since, "limit": FEEDBACK_MAX}
        with raw_cursor() as cursor:
            cursor.execute(load("evals", "read_feedback"), params)
            made += _queue_feedback(queue, [Feedback(*row) for row in cursor.fetchall()])
            name = None if config.feedback == FEEDBACK else config.feedback
            cursor.execute(load("evals", "read_signal_feedback"), params | {"name": name})
            made += _queue_feedback(queue, [Feedback(*row) for row in cursor.fetchall()])
    return made


def draw_calibration(queue: QueueView) -> int:
    """Draw the sample of a calibration task over the levels that the judge gave its criterion; how many items.

    Strata are levels, sizes those of the judged traces of the last days; every stratum gives at least five. The chance
    that each had is stored with it. RefusedReview where nothing was judged.
    """
    config = stored_config(queue.config)
    criterion = queue.rubric.criterion(config.criterion) or queue.rubric.criteria[0]
    since = clock.now() - timedelta(days=config.days)
    rows = _judgements(
        queue.project_id, judge_id=queue.judge_id, version_id=queue.judge_version_id, since=since,
        name=criterion.key, feature=config.feature, drawn=True,
    )  # fmt: skip
    if not rows:
        raise RefusedReview(
            "judge", f"scored no {criterion.title.lower()} of a drawn trace in the last {config.days} days",
            "a judge with a sampling plan",
        )  # fmt: skip
    strata = [_stratum(criterion, row["number"], row["label"]) for row in rows]
    sizes: dict[str, int] = {}
    for stratum in strata:
        sizes[stratum] = sizes.get(stratum, 0) + 1
    counts = allocation(sizes, _spreads(queue, criterion), config.wanted)
    drawn = draw(strata, [row["target_id"] for row in rows], counts, config.salt)
    items = [
        _item(queue, config, rows[each.at], f"drawn for calibration: {each.stratum}", each.stratum, each.pi_review)
        for each in drawn
    ]
    made = write.add_items(queue.project_id, queue.id, items)
    told = {"sizes": sizes, "drawn": {name: counts.get(name, 0) for name in sizes}, "since": since.isoformat()}
    write.change_queue(queue.id, {"config": config.stored() | {"told": told}})
    return made


def _spreads(queue: QueueView, criterion: Criterion) -> dict[str, float]:
    """How far people's earlier scores of the criterion spread where the judge gave the same level."""
    params = {"project_id": queue.project_id, "name": criterion.key, "judge_id": queue.judge_id, "limit": 20_000}
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_spreads"), params)
        rows = cursor.fetchall()
    pairs = []
    for number, label, said in rows:
        unit = criterion.scale.to_unit(said)
        if unit is not None:
            pairs.append((_stratum(criterion, number, label), unit))
    return spreads_of(pairs)


def _stratum(criterion: Criterion, number: float | None, label: str | None) -> str:
    if label:
        return f"{criterion.key} {label}"[:100]
    if number is None:
        return f"{criterion.key} unknown"
    scale = criterion.scale
    if scale.kind == "boolean":
        return f"{criterion.key} {'yes' if number else 'no'}"
    if len(scale.levels) > 10:
        step = (scale.high - scale.low) / 5
        low = scale.low + min(int((number - scale.low) / step), 4) * step
        return f"{criterion.key} {low:g} to {low + step:g}"
    return f"{criterion.key} {round(number):g}"


def settle(project_id: int, traces: Sequence[Any]) -> None:
    """`consider`, as evals.drawing calls it."""
    consider(project_id, traces)


def consider(project_id: int, traces: Sequence[Any]) -> int:
    """Offer traces that have been quiet to the random and error queues of a project; how many items are new.

    `traces`: rows with trace_id, started_at, feature, models or model, prompt_version and is_failed or is_error, as
    traces.read.TraceRow has them. To be called in the transaction that decides on them.
    """
    queues = [queue for queue in read.list_queues(project_id) if queue.kind in (RULES, RANDOM)]
    made = 0
    for queue in queues:
        config = stored_config(queue.config)
        items = [item for trace in traces if (item := _considered(queue, config, trace)) is not None]
        made += write.add_items(project_id, queue.id, items)
    return made


def wants_traces(project_id: int) -> bool:
    """Whether a queue of the project looks at every trace: drawing has to know even without a live judge."""
    rows = ReviewQueue.objects.filter(project_id=project_id, closed_at=None, kind__in=(RULES, RANDOM))
    return any(row.kind == RANDOM or ERRORS in stored_config(row.config).rules for row in rows)


def _considered(queue: QueueView, config: QueueConfig, trace: Any) -> NewItem | None:
    if config.feature and (trace.feature or "") != config.feature:
        return None
    is_error = bool(getattr(trace, "is_failed", False) or getattr(trace, "is_error", False))
    if queue.kind == RULES and not (ERRORS in config.rules and is_error):
        return None
    if hash_share(config.salt, "review", trace.trace_id) >= config.share:
        return None
    models = getattr(trace, "models", None)
    is_random = queue.kind == RANDOM
    return NewItem(
        trace_id=trace.trace_id,
        started_at=trace.started_at,
        feature=trace.feature or "",
        model=(models[0] if models else "") if models is not None else getattr(trace, "model", ""),
        prompt_version=trace.prompt_version or "",
        reason="drawn at random" if is_random else "ended in an error",
        stratum="" if is_random else "error",
        priority=_priority(queue, config, trace.trace_id, trace.started_at),
        # What a rule picks is no sample of anything: such reviews enter no estimate.
        pi_review=config.share if is_random else None,
        wanted=wanted_of(queue.reviewers_per_item, queue.double_share, config.salt, trace.trace_id),
    )


def add_by_hand(project: Project, queue: QueueView, trace_id: UUID, span_id: int, by: str, note: str = "") -> bool:
    """Let somebody's own pick wait in a queue; False where it is in it already. RefusedReview, Enough: it is closed.

    Such reviews enter no estimate: nobody knows the chance the trace had.
    """
    if not queue.is_open:
        raise Enough
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_traces"), {"project_id": project.pk, "trace_ids": [trace_id]})
        row = cursor.fetchone()
    if row is None:
        raise RefusedReview("trace_id", "is no trace of this project")
    if erasure.find_gone(project.pk, traces=[trace_id]):
        erasure.count_refused(project.pk, "reviews", 1, "its trace")
        raise RefusedReview("trace_id", erasure.MESSAGE)
    config = stored_config(queue.config)
    item = NewItem(
        trace_id=trace_id,
        started_at=row[1],
        span_id=span_id,
        feature=row[2],
        model=row[3],
        prompt_version=row[4],
        reason=mask_text(project.pk, clean_text("note", note, 200)) or f"picked by {by}"[:200],
        priority=_priority(queue, config, trace_id, row[1]),
        wanted=wanted_of(queue.reviewers_per_item, queue.double_share, config.salt, trace_id),
    )
    return bool(write.add_items(project.pk, queue.id, [item]))


def _queue_judged(queue: QueueView, config: QueueConfig, rows: Iterable[dict[str, Any]]) -> int:
    items = []
    for row in rows:
        if config.feature and row["feature"] != config.feature:
            continue
        if hash_share(config.salt, "review", row["target_id"]) >= config.share:
            continue
        items.append(_item(queue, config, row, f"flagged by {row['judge_name']}", "flagged", None))
    return write.add_items(queue.project_id, queue.id, items)


def _item(
    queue: QueueView, config: QueueConfig, row: dict[str, Any], reason: str, stratum: str, pi_review: float | None
) -> NewItem:
    return NewItem(
        trace_id=row["target_id"],
        started_at=row["started_at"],
        span_id=row["span_id"],
        feature=row["feature"],
        model=row["model"],
        prompt_version=row["prompt_version"],
        reason=reason,
        stratum=stratum,
        priority=_priority(queue, config, row["target_id"], row["started_at"]),
        pi_judge=row["pi"] if pi_review is not None else None,
        pi_review=pi_review,
        wanted=wanted_of(queue.reviewers_per_item, queue.double_share, config.salt, row["target_id"]),
    )


def _priority(queue: QueueView, config: QueueConfig, trace_id: UUID, started_at: datetime) -> float:
    """The newest first; in a blind queue by lot, since an order would tell what the judge thought."""
    if queue.is_blind:
        return hash_share(config.salt, "order", trace_id)
    return started_at.timestamp()


def _judgements(
    project_id: int,
    *,
    ids: Sequence[int] | None = None,
    judge_id: int | None = None,
    version_id: int | None = None,
    since: datetime | None = None,
    name: str = "",
    feature: str = "",
    flagged: bool = False,
    drawn: bool = False,
) -> list[dict[str, Any]]:
    params = {
        "project_id": project_id,
        "ids": None if ids is None else list(ids),
        "judge_id": judge_id,
        "version_id": version_id,
        "since": since,
        "name": name,
        "feature": feature,
        "flagged": flagged,
        "drawn": drawn,
        "limit": POPULATION_MAX,
    }
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_review_judgements"), params)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
