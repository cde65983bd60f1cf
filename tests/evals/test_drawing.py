"""Drawing: every trace decided once by each judge, with its chance stored; nothing skipped, nothing twice."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from evals import drawing, scoring
from evals.judging import context
from evals.models import Judge, PlanRate, SamplingPlan
from evals.read import judgements as read
from evals.read.decisions import money_factor
from evals.read.spend import ends_at
from evals.write.decisions import add_candidates
from evals.write.tallies import hour_of
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from tests.evals.judging_kit import (
    LENGTH_RULE,
    YES_NO,
    draw,
    make_connection,
    make_plan,
    make_version,
    set_budget,
    set_noon,
    sql,
    store_traces,
    tallies,
)
from traces import changes
from traces.ingest.rules import forget as forget_rules

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh():
    forget_rules()
    context.forget()
    yield
    forget_rules()


def rules(project, spec=None, *, slug="length", salt="salt"):
    version = make_version(project, "rule", slug=slug, config=LENGTH_RULE, rubric=YES_NO)
    if spec is not None:
        make_plan(version, spec, salt=salt)
    return version


def decisions(project):
    rows = sql("SELECT trace_id, pi, is_taken, rule, phase FROM evals_decision WHERE project_id = %s", project.pk)
    return {row[0]: row[1:] for row in rows}


def counters(project):
    return sql(
        "SELECT sum(covered)::int, sum(taken)::int, sum(uncovered)::int FROM evals_decision_hour WHERE project_id = %s",
        project.pk,
    )[0]


def test_accepted_traces_wait_until_they_are_quiet_and_are_decided_then(project):
    changes.watch(project.pk)
    rules(project, {"kind": "all"})
    ids = store_traces(project, 3)

    assert drawing.draw_changes(5).decided == 0
    assert sql("SELECT count(*) FROM evals_candidate") == [(3,)]
    sql("UPDATE evals_candidate SET due_at = now() - interval '1 second' RETURNING 1")
    done = drawing.draw_changes(5)

    assert (done.decided, done.queued) == (3, 3)
    assert set(decisions(project)) == set(ids)
    assert sql("SELECT count(*) FROM evals_candidate") == [(0,)]


def test_a_trace_that_changes_meanwhile_waits_again(project):
    changes.watch(project.pk)
    rules(project, {"kind": "all"})
    store_traces(project, 1)
    drawing.draw_changes(5)
    sql("UPDATE evals_candidate SET due_at = now() - interval '1 second' RETURNING 1")
    (trace_id,) = sql("SELECT trace_id FROM evals_candidate")[0]
    sql(
        "INSERT INTO traces_feed (consumer, project_id, feed_id, batch_id, trace_ids) VALUES (4, %s, 1, 1, %s::uuid[])"
        " RETURNING 1",
        project.pk, [trace_id],
    )  # fmt: skip

    assert drawing.draw_changes(5).decided == 0

    assert sql("SELECT due_at > now() FROM evals_candidate") == [(True,)]


def test_without_a_live_judge_what_was_told_is_dropped(project, monkeypatch):
    monkeypatch.setattr(drawing, "_also", [])
    changes.watch(project.pk)
    store_traces(project, 2)

    assert drawing.draw_changes(5).told == 2

    assert changes.open_projects() == []
    assert sql("SELECT count(*) FROM evals_candidate") == [(0,)]


def test_nothing_is_lost_where_a_draw_breaks_half_way(project, monkeypatch):
    rules(project, {"kind": "all"})
    ids = store_traces(project, 2)
    monkeypatch.setattr(drawing, "queue", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        draw(project, ids)
    monkeypatch.undo()

    assert decisions(project) == {}
    assert draw(project, ids) == 2


def test_a_trace_sent_again_is_decided_once(project):
    rules(project, {"kind": "random", "share": 0.5})
    ids = store_traces(project, 40)
    first = draw(project, ids)
    held = decisions(project)

    assert draw(project, ids) == 0

    assert decisions(project) == held
    covered, taken, uncovered = counters(project)
    assert (covered, taken, uncovered) == (40, first, 0)
    assert tallies(project) == {"pending": first}


def test_a_raised_share_keeps_what_was_drawn_and_decides_no_trace_again(project):
    version = rules(project, {"kind": "random", "share": 0.2})
    ids = store_traces(project, 60)
    few = draw(project, ids)
    make_plan(version, {"kind": "random", "share": 0.9}, number=2)

    assert draw(project, ids) == 0

    more = store_traces(project, 60)
    assert draw(project, more) > few


def test_what_a_plan_gives_no_chance_is_counted_as_not_covered(project):
    rules(project, {"kind": "strata", "by": "feature", "shares": {"help": 0.0}, "other": 1.0})
    ids = store_traces(project, 3)

    assert draw(project, ids) == 0

    assert counters(project) == (0, 0, 3)
    told = read.why(project.pk, ids[0])[0]
    assert told.reason == "not_covered"


def test_a_filter_leaves_traces_undecided(project):
    rules(project, {"kind": "all", "filter": {"feature": ["else"]}})
    ids = store_traces(project, 1)

    assert draw(project, ids) == 0

    assert decisions(project) == {}
    assert read.why(project.pk, ids[0])[0].reason == "not_seen"


def test_a_plan_by_kinds_of_spans_looks_at_them(project):
    rules(project, {"kind": "all", "filter": {"kinds": ["generation"]}})
    ids = store_traces(project, 1)

    assert draw(project, ids) == 1


def test_a_paused_judge_draws_nothing(project):
    version = rules(project, {"kind": "all"})
    Judge.objects.filter(pk=version.judge_id).update(paused_at=clock.now())

    assert draw(project, store_traces(project, 1)) == 0


def test_a_late_error_is_drawn_a_second_time_and_scores_are_weighed_anew(project):
    version = rules(project, {"kind": "errors", "signals": ["error"], "share": 1, "rest": 0.3})
    ids = store_traces(project, 40)
    taken = draw(project, ids)
    from evals.judging import judge_rules

    assert judge_rules(10) == taken
    sql("UPDATE traces_trace SET error_count = 1 WHERE project_id = %s RETURNING 1", project.pk)

    queued = draw(project, ids)

    assert taken + queued == 40
    found = decisions(project)
    assert {row[0] for row in found.values()} == {1.0}
    assert {row[3] for row in found.values()} == {2}
    assert counters(project) == (40, 40, 0)
    assert sql("SELECT DISTINCT pi FROM evals_judgement") == [(1.0,)]
    assert sql("SELECT DISTINCT pi FROM evals_score") == [(1.0,)]
    n, sw, swy = sql("SELECT sum(n), sum(sw), sum(swy) FROM evals_score_hour WHERE name = 'short'")[0]
    assert (n, sw, swy) == (taken, pytest.approx(taken), pytest.approx(taken))
    assert version.judge.pk == Judge.objects.get().pk
    assert draw(project, ids) == 0


def thumb(project, trace_id, value, name="user_feedback", **more):
    """An end user's thumb, as a program sends it."""
    item = {"name": name, "value": value, "trace_id": trace_id.hex, "id": f"thumb {trace_id.hex}", **more}
    assert scoring.put_scores(project.pk, [item], scoring.Author("app"))[0].status in {"created", "updated"}


@pytest.mark.parametrize(
    ("name", "value", "is_down"),
    [
        ("user_feedback", False, True), ("user-feedback", 0, True), ("thumb", -1, True),
        ("Thumbs", "thumbs-down", True),
        ("user_feedback", True, False), ("user_feedback", 1, False), ("thumb", "up", False), ("tone", 0, False),
    ],
)  # fmt: skip
def test_a_thumb_that_was_there_before_the_draw_counts_in_it(project, name, value, is_down):
    rules(project, {"kind": "errors", "signals": ["thumb_down"], "share": 1, "rest": 0})
    (trace_id,) = store_traces(project)
    thumb(project, trace_id, value, name)

    assert draw(project, [trace_id]) == is_down
    assert decisions(project)[trace_id][2:] == ("thumb_down" if is_down else "rest", 1)


def test_a_thumb_down_after_the_draw_draws_a_second_time(project):
    rules(project, {"kind": "errors", "share": 0.5, "rest": 0.25})
    ids = store_traces(project, 40)
    taken = draw(project, ids)
    for trace_id in ids[:30]:
        thumb(project, trace_id, 0)
    thumb(project, ids[30], 1)

    # They wait to be decided on again, and only they.
    waiting = {row[0] for row in sql("SELECT trace_id FROM evals_candidate WHERE project_id = %s", project.pk)}
    assert waiting == set(ids[:30])
    queued = draw(project, waiting, clock.now() + timedelta(minutes=5))

    found = decisions(project)
    pi = 1 - (1 - 0.25) * (1 - 0.5)
    assert {found[each] for each in ids[:30]} <= {(pi, is_taken, "thumb_down", 2) for is_taken in (True, False)}
    assert {found[each][0] for each in ids[30:]} == {0.25}
    assert sum(found[each][1] for each in ids) == taken + queued
    # Said again, or taken back, it decides nothing a third time.
    thumb(project, ids[0], 0)
    thumb(project, ids[1], 1)
    assert draw(project, ids[:2], clock.now() + timedelta(minutes=5)) == 0


def test_a_thumb_before_its_trace_waits_for_it(project):
    rules(project, {"kind": "errors", "share": 1, "rest": 0})
    trace_id = uuid4()
    thumb(project, trace_id, 0)
    assert draw(project, [], clock.now() + timedelta(minutes=5)) == 0
    assert decisions(project) == {}

    store_traces(project, 1, trace_id=trace_id.hex)

    assert draw(project, [trace_id]) == 1


def test_where_nobody_draws_by_thumbs_they_make_no_candidates(project):
    rules(project, {"kind": "random", "share": 0.5})
    (trace_id,) = store_traces(project)

    thumb(project, trace_id, 0)

    assert sql("SELECT count(*) FROM evals_candidate") == [(0,)]


def test_two_judges_decide_apart(project):
    rules(project, {"kind": "random", "share": 0.5}, slug="one", salt="one")
    rules(project, {"kind": "random", "share": 0.5}, slug="two", salt="two")
    ids = store_traces(project, 60)
    draw(project, ids)

    rows = sql("SELECT trace_id, array_agg(is_taken ORDER BY plan_id) FROM evals_decision GROUP BY 1")
    assert len(rows) == 60
    assert {tuple(taken) for _, taken in rows} == {(a, b) for a in (True, False) for b in (True, False)}


def test_a_trace_says_why_it_was_not_drawn(project):
    rules(project, {"kind": "random", "share": 0.001})
    ids = store_traces(project, 5)
    draw(project, ids)
    trace_id = next(each for each, found in decisions(project).items() if not found[1])

    told = read.why(project.pk, trace_id)[0]

    assert (told.state, told.reason, told.pi, told.plan_number) == ("", "not_drawn", 0.001, 1)
    assert told.words.startswith("Not drawn: its number is 0.")


def test_a_trace_says_of_every_judge_why_there_is_no_judgement(project):
    rules(project, {"kind": "strata", "by": "feature", "shares": {"other": 1}, "other": 0}, slug="a-none")
    rules(project, {"kind": "all", "filter": {"feature": ["other"]}}, slug="b-filter")
    rules(project, slug="c-no-plan")
    rules(project, {"kind": "all"}, slug="d-paused")
    rules(project, {"kind": "all"}, slug="e-not-live")
    rules(project, {"kind": "all"}, slug="f-archived")
    Judge.objects.filter(slug="d-paused").update(paused_at=clock.now())
    Judge.objects.filter(slug="e-not-live").update(live_version=None)
    Judge.objects.filter(slug="f-archived").update(archived_at=clock.now(), live_version=None)
    (trace_id,) = store_traces(project)
    with raw_cursor() as cursor:
        add_candidates(cursor, project.pk, [trace_id], clock.now())

    waits = {each.judge_slug: each.reason for each in read.why(project.pk, trace_id)}
    assert set(waits.values()) == {"waiting"}
    draw(project, [trace_id])

    told = {each.judge_slug: each for each in read.why(project.pk, trace_id)}
    assert {slug: each.reason for slug, each in told.items()} == {
        "a-none": "not_covered", "b-filter": "not_seen", "c-no-plan": "no_plan", "d-paused": "paused",
        "e-not-live": "not_live",
    }  # fmt: skip
    assert all(each.words.endswith(".") and each.state == "" for each in told.values())


def model_judge(project):
    connection = make_connection(project)
    version = make_version(project, endpoint=connection)
    make_plan(version, {"kind": "all"})
    return version


def test_money_left_lowers_the_shares_of_the_hour_before_its_first_draw(project):
    set_noon(project)
    version = model_judge(project)
    now = clock.now()
    SamplingPlan.objects.update(valid_from=now - timedelta(days=2))
    # 1,000 an hour were taken in the hours before, for 0.01 USD each; 1 USD a day is far too little for that.
    for back in range(1, 4):
        sql(
            "INSERT INTO evals_judgement_hour VALUES (%s, %s, %s, 1, %s, 'scored', '', 1000, 1000, %s, 0) RETURNING 1",
            project.pk, version.judge_id, version.pk, hour_of(now) - timedelta(hours=back), 10**13,
        )  # fmt: skip
    set_budget(project, budget_pico_day=10**12)

    factor, reason = money_factor(project.pk, version.judge, version, [(version.judge, version)], now)
    assert 0 < factor < 0.05
    assert "budget" in reason

    ids = store_traces(project, 200)
    queued = draw(project, ids, now)
    assert queued < 40
    rate = PlanRate.objects.get()
    assert rate.factor == pytest.approx(factor, rel=0.05)
    assert {row[0] for row in decisions(project).values()} == {max(rate.factor, 0.001)}

    # The hour's factor stays, whatever happens to the budget within it.
    set_budget(project, budget_pico_day=10**15)
    draw(project, store_traces(project, 5), now)
    assert PlanRate.objects.count() == 1
    assert {row[0] for row in decisions(project).values()} == {max(rate.factor, 0.001)}


def test_money_lowers_the_shares_of_the_first_hour_too(project):
    set_noon(project)
    # Of 2,500 tokens in and 500 out at the endpoint's price: about 0.0007 USD each, and 0.05 USD for half a day.
    model_judge(project)
    set_budget(project, budget_pico_day=5 * 10**10)
    ids = store_traces(project, 300)
    now = clock.now()

    queued = draw(project, ids, now)

    told = read.why(project.pk, ids[0])[0]
    assert "of which the day’s budget left 2." in told.words
    rate = PlanRate.objects.get()
    one, hours = 2_500 * 150_000 + 500 * 600_000, (ends_at(now, ZoneInfo(project.time_zone)) - now) / timedelta(hours=1)
    assert rate.factor == pytest.approx(5 * 10**10 / hours / (300 * one), rel=0.01)
    assert queued < 30


def test_a_larger_share_is_lowered_by_what_it_would_take_and_not_by_what_the_smaller_one_took(project):
    set_noon(project)
    version = model_judge(project)
    set_budget(project, budget_pico_day=5 * 10**10)
    now = clock.now()
    SamplingPlan.objects.update(valid_from=now - timedelta(days=2))
    make_plan(version, {"kind": "random", "share": 0.01}, number=2)
    # Ten thousand an hour by the plan before: no reason to lower the share of this one.
    sql(
        "INSERT INTO evals_judgement_hour VALUES (%s, %s, %s, 1, %s, 'scored', '', 10000, 0, 0, 0) RETURNING 1",
        project.pk, version.judge_id, version.pk, hour_of(now) - timedelta(hours=1),
    )  # fmt: skip

    draw(project, store_traces(project, 300), clock.now())

    assert PlanRate.objects.get().factor == 1.0


def test_a_draw_asks_as_many_queries_for_many_traces_as_for_few(project, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    rules(project, {"kind": "random", "share": 0.5})
    counts = []
    for n in (5, 100):
        ids = store_traces(project, n)
        with CaptureQueriesContext(connection) as asked:
            draw(project, ids)
        counts.append(len(asked))

    assert counts[0] == counts[1]
