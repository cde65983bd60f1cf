"""Where one stratum's judgements fail more often than another's, the estimate for all traffic does not move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection

from evals.read.estimates import Where, read_estimates
from evals.write.score_sums import ScoreSums
from telltale.lib.db import raw_cursor
from tests.evals.estimate_rows import make_judge

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 16, tzinfo=UTC)
PLAN = 77


def add_stratum(project, version, stratum, *, pi, covered, taken, scored, y):
    """`scored` of `taken` judgements came to the score `y`; the others failed."""
    sums = ScoreSums(project.pk)
    row = SimpleNamespace(
        judge_id=version.judge_id, judge_version_id=version.pk, plan_id=PLAN, started_at=START, feature="", model="",
        prompt_version="", stratum=stratum,
    )  # fmt: skip
    for _ in range(scored):
        sums.add(row, "correctness", y, None, pi)
    with raw_cursor() as cursor:
        sums.write(cursor)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_decision_hour VALUES (%s, %s, %s, %s, '', '', '', %s, %s, %s, 0)",
            [project.pk, PLAN, version.judge_id, START, stratum, covered, taken],
        )


def mean(project):
    found = read_estimates(project.pk, "UTC", START, START + timedelta(hours=1), Where())
    return next(row for row in found.rows if row.of.name == "correctness").mean


def test_missing_judgements_are_made_up_for_within_their_stratum(project):
    version = make_judge(project)
    add_stratum(project, version, "error", pi=1.0, covered=100, taken=100, scored=40, y=2.0)
    add_stratum(project, version, "rest", pi=0.2, covered=500, taken=100, scored=100, y=4.0)

    assert mean(project) == pytest.approx((100 * 2 + 500 * 4) / 600)


def test_without_missing_judgements_weights_stay_as_drawn(project):
    version = make_judge(project)
    add_stratum(project, version, "error", pi=1.0, covered=100, taken=100, scored=100, y=2.0)
    add_stratum(project, version, "rest", pi=0.2, covered=500, taken=100, scored=100, y=4.0)

    assert mean(project) == pytest.approx((100 * 2 + 500 * 4) / 600)
