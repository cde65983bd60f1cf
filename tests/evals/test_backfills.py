"""Backfills: an estimate first, pieces in turn, pause, resume, cancel, and chances that hold beside the live plan."""

from __future__ import annotations

import pytest

from evals import backfilling
from evals.backfilling import BackfillRefused
from evals.judging import context, judge_rules
from evals.models import Backfill
from tests.evals.judging_kit import (
    LENGTH_RULE,
    YES_NO,
    draw,
    make_connection,
    make_plan,
    make_version,
    reasons,
    sql,
    states,
    store_traces,
    tallies,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(backfilling, "pause_for", lambda seconds: None)
    context.forget()


def rules(project):
    return make_version(project, "rule", slug="length", config=LENGTH_RULE, rubric=YES_NO)


def run_to_the_end(row):
    for _ in range(200):
        backfilling.tend(0.0)
        judge_rules(5)
        row.refresh_from_db()
        if row.state == "done":
            return
    raise AssertionError(f"still {row.state}")


def test_an_estimate_says_how_many_and_at_what_price_before_anything_is_made(project):
    connection = make_connection(project, input_pico=1_000, output_pico=2_000)
    version = make_version(project, endpoint=connection)
    store_traces(project, 20)

    told = backfilling.estimate(project, version.pk, "t=1h", 0.5)

    assert (told.traces, told.judgements, told.is_exact) == (20, 10, True)
    # No call yet: 2,500 tokens in and 500 out each.
    assert told.pico == 10 * (2_500 * 1_000 + 500 * 2_000)
    assert Backfill.objects.count() == 0


@pytest.mark.parametrize(
    ("query", "share", "field"),
    [("t=1h", 0.0, "share"), ("t=1h", 1.5, "share"), ("t=never", 1.0, "query.t"), ("x" * 5000, 1.0, "query")],
)
def test_what_cannot_be_is_refused_by_its_field(project, query, share, field):
    version = rules(project)

    with pytest.raises(BackfillRefused) as refused:
        backfilling.start(project, version.pk, query, share)

    assert refused.value.field == field


def test_a_version_of_another_project_is_not_there(project, charlie):
    from telltale.projects.models import Project

    with pytest.raises(BackfillRefused):
        backfilling.estimate(Project.objects.get(slug="far"), rules(project).pk, "t=1h")


def test_every_trace_of_the_window_is_judged_once(project, monkeypatch):
    monkeypatch.setattr(backfilling, "PIECE", 7)
    monkeypatch.setattr(backfilling, "AHEAD", 10)
    version = rules(project)
    ids = store_traces(project, 25)
    row = backfilling.start(project, version.pk, "t=1h")
    after = store_traces(project, 3)

    run_to_the_end(row)

    assert states(project) == tallies(project) == {"scored": 25}
    judged = {target for (target,) in sql("SELECT target_id FROM evals_judgement")}
    assert judged == set(ids)
    assert not judged & set(after)
    assert (row.traces_seen, row.queued, row.finished_at is not None) == (25, 25, True)
    assert backfilling.progress(project.pk, row.pk).share_done == 1.0
    assert sql("SELECT DISTINCT pi, backfill_id, purpose FROM evals_judgement") == [(1.0, row.pk, 2)]


def test_never_more_wait_than_are_allowed_ahead(project, monkeypatch):
    monkeypatch.setattr(backfilling, "PIECE", 5)
    monkeypatch.setattr(backfilling, "AHEAD", 10)
    version = rules(project)
    store_traces(project, 40)
    backfilling.start(project, version.pk, "t=1h")

    backfilling.tend(0.0)
    backfilling.tend(0.0)
    backfilling.tend(0.0)

    assert states(project)["pending"] <= 15


def test_paused_it_stands_still_and_resumed_it_goes_on(project, monkeypatch):
    monkeypatch.setattr(backfilling, "PIECE", 5)
    version = rules(project)
    store_traces(project, 12)
    row = backfilling.start(project, version.pk, "t=1h")
    backfilling.tend(0.0)
    assert backfilling.pause(project, row.pk)
    held = states(project)

    assert backfilling.tend(0.0) == 0
    assert judge_rules(2) == 0
    assert states(project) == tallies(project) == held
    assert set(reasons(project)) == {("pending", "paused")}
    assert not backfilling.pause(project, row.pk)

    assert backfilling.resume(project, row.pk)
    run_to_the_end(row)
    assert states(project) == tallies(project) == {"scored": 12}


def test_cancelled_it_skips_what_waits_and_keeps_its_scores(project, monkeypatch):
    monkeypatch.setattr(backfilling, "PIECE", 5)
    version = rules(project)
    store_traces(project, 12)
    row = backfilling.start(project, version.pk, "t=1h")
    backfilling.advance(row.pk)
    judge_rules(5)
    backfilling.advance(row.pk)

    assert backfilling.cancel(project, row.pk)

    assert states(project) == tallies(project) == {"scored": 5, "skipped": 5}
    assert backfilling.advance(row.pk) is None
    assert not backfilling.cancel(project, row.pk)


def test_a_share_is_drawn_with_its_chance_and_a_larger_one_later_keeps_what_it_took(project):
    version = rules(project)
    store_traces(project, 60)
    first = backfilling.start(project, version.pk, "t=1h", 0.3)
    run_to_the_end(first)
    few = {target for (target,) in sql("SELECT target_id FROM evals_judgement")}

    second = backfilling.start(project, version.pk, "t=1h", 0.6)
    run_to_the_end(second)

    more = {target for (target,) in sql("SELECT target_id FROM evals_judgement")}
    assert 0 < len(few) < len(more) < 60
    assert few < more
    assert sql("SELECT DISTINCT pi FROM evals_judgement") == [(0.6,)]
    assert sql("SELECT sum(sw), sum(n) FROM evals_score_hour WHERE name = 'short'")[0] == pytest.approx(
        (len(more) / 0.6, len(more))
    )


def test_beside_a_live_plan_each_trace_has_the_chance_of_either(project):
    version = rules(project)
    make_plan(version, {"kind": "random", "share": 0.4})
    ids = store_traces(project, 50)
    live = draw(project, ids)
    judge_rules(5)

    run_to_the_end(backfilling.start(project, version.pk, "t=1h", 0.5))

    assert sql("SELECT DISTINCT pi FROM evals_judgement") == [(pytest.approx(0.7),)]
    n = sum(states(project).values())
    assert live < n < 50
    assert sql("SELECT sum(sw) FROM evals_score_hour WHERE name = 'short'")[0][0] == pytest.approx(n / 0.7)


def test_a_filter_of_the_list_bounds_it(project):
    version = rules(project)
    store_traces(project, 3)
    wanted = store_traces(project, 2, feature="refunds")
    row = backfilling.start(project, version.pk, "t=1h&feature=refunds")

    run_to_the_end(row)

    assert {target for (target,) in sql("SELECT target_id FROM evals_judgement")} == set(wanted)
