"""Closed sessions by what their users did and how they voted, as rows: for tests of pages that read them."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from evals.models import Review
from evals.write.ids import new_ids
from telltale.lib.db import raw_cursor
from traces.behaviour.types import Fact, Stratum

FACTS = {
    Stratum.ABANDONED: Fact.ABANDONED,
    Stratum.RETRIED: Fact.RETRIED | Fact.FOLLOWED_UP,
    Stratum.CORRECTED: Fact.CORRECTED,
    Stratum.ESCALATED: Fact.ESCALATED,
    Stratum.COMPLETED: Fact.COMPLETED,
    Stratum.CARRIED_ON: Fact.FOLLOWED_UP,
}
# The design's own case: 90 % of thumbs are up, 2.8 % of sessions gave one, 40 % left after the first answer.
BIASED = {
    Stratum.COMPLETED: (619, 19, 9_822),
    Stratum.CARRIED_ON: (186, 16, 5_678),
    Stratum.RETRIED: (31, 23, 2_906),
    Stratum.CORRECTED: (10, 25, 1_145),
    Stratum.ABANDONED: (14, 13, 13_633),
}
NOTHING = Fact(0)
SMALL = {Stratum.COMPLETED: (60, 2, 340), Stratum.CARRIED_ON: (20, 2, 178), Stratum.ABANDONED: (10, 6, 382)}


@dataclass(frozen=True)
class Made:
    """One unit that was made."""

    session_id: str | None
    trace_id: UUID
    stratum: Stratum
    vote: int
    first_at: datetime
    feature: str


def make_sessions(
    project, groups, *, start, hours=24, feature="", seed=1, is_closed=True, facts=NOTHING, definition=0, with_rows=True
):
    """Sessions of `groups` ({stratum: (up, down, silent)}) spread over the hours from `start`, with their bookings.

    `facts` are added to each: Fact.LONE makes traces without a session of them, Fact.UNANSWERED ones without an answer.
    """
    rng, made, cells = random.Random(f"{seed}{feature}"), [], Counter()
    start = start.replace(minute=0, second=0, microsecond=0)
    votes = [
        (stratum, vote)
        for stratum, (up, down, silent) in groups.items()
        for vote, n in ((1, up), (-1, down), (0, silent))
        for _ in range(n)
    ]
    for at, (stratum, vote) in enumerate(votes):
        trace_id = UUID(int=rng.getrandbits(128))
        session_id = None if facts & Fact.LONE else f"s-{seed}-{feature}-{at}"
        first_at = start + timedelta(hours=rng.randrange(hours), seconds=rng.randrange(3000))
        made.append(Made(session_id, trace_id, stratum, vote, first_at, feature))
        hour = first_at.replace(minute=0, second=0)
        cells[hour, stratum, int(FACTS.get(stratum, NOTHING) | facts), vote] += 1
    answers = 0 if facts & Fact.UNANSWERED else 1
    with raw_cursor() as cursor:
        if with_rows:
            _copy_rows(cursor, project, made, is_closed, facts, definition)
        keys = [(*cell, n) for cell, n in cells.items()]
        hours, strata, bits, kinds, counts = (list(column) for column in zip(*keys, strict=True)) if keys else [[]] * 5
        cursor.execute(
            "INSERT INTO traces_behaviour_hour AS h"
            " (project_id, hour, feature, stratum, facts, vote, is_closed, n, answers, answers_squared)"
            " SELECT %s, c.hour, %s, c.stratum, c.facts, c.vote, %s, c.n, c.n * %s, c.n * %s"
            " FROM unnest(%s::timestamptz[], %s::smallint[], %s::integer[], %s::smallint[], %s::bigint[])"
            " AS c (hour, stratum, facts, vote, n)"
            " ON CONFLICT (project_id, hour, feature, stratum, facts, vote, is_closed)"
            " DO UPDATE SET n = h.n + excluded.n, answers = h.answers + excluded.answers,"
            " answers_squared = h.answers_squared + excluded.answers_squared",
            [
                project.pk,
                feature,
                is_closed,
                answers,
                answers,
                hours,
                [int(each) for each in strata],
                bits,
                kinds,
                counts,
            ],
        )
    return made


def _copy_rows(cursor, project, made, is_closed, facts, definition):
    names = (
        "project_id, unit_key, session_id, definition, feature, first_at, last_at, closes_at, is_closed,"
        " last_trace_id, turns, answers, facts, stratum, vote, votes"
    )
    answers = 0 if facts & Fact.UNANSWERED else 1
    with cursor.copy(f"COPY traces_behaviour ({names}) FROM STDIN") as copy:
        for one in made:
            key = one.trace_id if one.session_id is None else UUID(hashlib.md5(one.session_id.encode()).hexdigest())
            ends = one.first_at + timedelta(minutes=1)
            bits = int(FACTS.get(one.stratum, NOTHING) | facts)
            copy.write_row(
                (project.pk, key, one.session_id, definition, one.feature, one.first_at, ends,
                 ends + timedelta(minutes=30), is_closed, one.trace_id if answers else None, 1, answers, bits,
                 int(one.stratum), one.vote, abs(one.vote))
            )  # fmt: skip


def judge_sessions(
    project, version, made, truth, *, pi=0.2, reviewed=0.1, criterion="correctness", high=5.0, low=2.0, seed=1
):
    """Judge a drawn part of sessions by their last answer, and let people read a part of those.

    `truth`: stratum -> the share that is satisfied. The judge is right in nine of ten. How many (judged, read).
    """
    rng = random.Random(seed)
    chosen = [one for one in made if rng.random() < pi]
    ids, score_ids = iter(new_ids(len(chosen))), iter(new_ids(2 * len(chosen)))
    judgements, scores, read = [], [], []
    about = (project.pk, version.judge_id, version.pk)
    for one in chosen:
        is_fine = rng.random() < truth[one.stratum]
        says_fine = is_fine if rng.random() < 0.9 else not is_fine
        judgement_id, number = next(ids), high if says_fine else low
        judgements.append((judgement_id, 1, one.trace_id, 1, pi, "scored", one.first_at, one.first_at, one.first_at))
        scores.append((next(score_ids), 1, 1, one.trace_id, one.first_at, criterion, 1, number, judgement_id, pi))
        if rng.random() < reviewed:
            read.append((one, is_fine))
    with raw_cursor() as cursor:
        names = "judgement_id, target_kind, target_id, purpose, pi, state, next_at, made_at, started_at"
        with cursor.copy(f"COPY evals_judgement (project_id, judge_id, judge_version_id, {names}) FROM STDIN") as copy:
            for row in judgements:
                copy.write_row((*about, *row))
        names = "score_id, source, target_kind, trace_id, started_at, name, data_type, number, judgement_id, pi"
        with cursor.copy(
            "COPY evals_score (project_id, judge_id, judge_version_id, rubric_version_id, made_at, updated_at,"
            f" {names}) FROM STDIN"
        ) as copy:
            for row in scores:
                copy.write_row((*about, version.rubric_version_id, row[4], row[4], *row))
    for one, is_fine in read:
        review_session(project, version, one, is_fine, pi_judge=pi, pi_review=reviewed)
    with raw_cursor() as cursor:  # what other tests left would tell the planner of other tables
        cursor.execute("ANALYZE evals_judgement, evals_score, evals_review, traces_behaviour")
    return len(chosen), len(read)


def review_session(project, version, one, is_fine, *, pi_judge=None, pi_review=0.1, **more):
    """One person's verdict on the last answer of a session that was drawn."""
    return Review.objects.create(
        project=project,
        rubric_version_id=version.rubric_version_id,
        trace_id=one.trace_id,
        reviewer_name=more.pop("by", "mara"),
        verdict=more.pop("verdict", "good" if is_fine else "failure"),
        pi_judge=pi_judge,
        pi_review=pi_review,
        **more,
    )
