"""Judging by rules: batches in one transaction, the sums of estimates exact, experiments and repeats apart."""

from __future__ import annotations

import pytest

from evals.judging import context, judge_rules
from evals.stats.weighted import Sums
from evals.write.judgements import Purpose, Target, queue
from evals.write.scores import NewScore, put_scores
from telltale.lib import clock
from tests.evals.judging_kit import (
    LENGTH_RULE,
    YES_NO,
    draw,
    make_plan,
    make_version,
    reason_tallies,
    sql,
    states,
    store_traces,
    tallies,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh():
    context.forget()


def rules(project, spec=None, **more):
    version = make_version(project, "rule", slug="length", **{"config": LENGTH_RULE, "rubric": YES_NO, **more})
    make_plan(version, spec or {"kind": "all"})
    return version


def test_rules_score_what_was_drawn(project):
    rules(project)
    short, long = store_traces(project, 3), store_traces(project, 2, answer="word " * 80)
    draw(project, short + long)

    assert judge_rules(10) == 5

    assert states(project) == tallies(project) == {"scored": 5}
    assert sorted(sql("SELECT number, count(*) FROM evals_score GROUP BY 1")) == [(0.0, 2), (1.0, 3)]
    assert judge_rules(5) == 0


def test_hourly_sums_are_those_of_the_single_scores(project):
    rules(project, {"kind": "strata", "by": "feature", "shares": {"a": 0.9, "b": 0.7}, "other": 1.0})
    for feature, answer in (("a", "yes"), ("b", "word " * 80), ("c", "no")):
        draw(project, store_traces(project, 12, feature=feature, answer=answer))
    judge_rules(10)

    for feature in ("a", "b", "c"):
        scores = sql(
            "SELECT s.number, s.pi FROM evals_score s JOIN evals_judgement j USING (project_id, judgement_id)"
            " WHERE j.feature = %s", feature,
        )  # fmt: skip
        want = Sums.total(Sums.one(y, pi) for y, pi in scores)
        found = sql(
            "SELECT n, sw, sw2, swy, swy2, sw2y, sw2y2, v0, v1, v2, levels FROM evals_score_hour"
            " WHERE name = 'short' AND feature = %s", feature,
        )[0]  # fmt: skip
        assert found[:10] == pytest.approx(
            (want.n, want.sw, want.sw2, want.swy, want.swy2, want.sw2y, want.sw2y2, want.v0, want.v1, want.v2)
        )
        levels = found[10] if isinstance(found[10], dict) else __import__("json").loads(found[10])
        assert sum(n for n, _ in levels.values()) == want.n
        assert sum(w for _, w in levels.values()) == pytest.approx(want.sw)


def test_a_batch_that_breaks_leaves_everything_as_it_was(project, monkeypatch):
    rules(project)
    draw(project, store_traces(project, 3))
    monkeypatch.setattr("evals.judging.rules.write_verdicts", lambda cursor, scored: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        judge_rules(5)
    monkeypatch.undo()

    assert states(project) == tallies(project) == {"pending": 3}
    assert judge_rules(5) == 3


def test_a_repeat_is_judged_and_is_no_score_of_the_target(project):
    version = rules(project)
    (trace_id,) = store_traces(project, 1)
    target = Target(trace_id, clock.now())

    assert queue(project.pk, version, [target], Purpose.PROBE, repeat=1) == 1
    assert queue(project.pk, version, [target], Purpose.PROBE, repeat=1) == 0
    assert judge_rules(5) == 1

    assert sql("SELECT count(*) FROM evals_score") == [(0,)]
    assert sql("SELECT answer IS NOT NULL FROM evals_judgement") == [(True,)]


def test_what_no_design_drew_is_scored_and_enters_no_estimate(project):
    version = rules(project)
    (trace_id,) = store_traces(project, 1)
    queue(project.pk, version, [Target(trace_id, clock.now())], Purpose.CALIBRATION)

    judge_rules(5)

    assert sql("SELECT count(*) FROM evals_score") == [(1,)]
    assert sql("SELECT count(*) FROM evals_score_hour") == [(0,)]


def test_the_first_use_freezes_the_version_and_its_rubric(project):
    version = rules(project)
    (trace_id,) = store_traces(project, 1)

    queue(project.pk, version, [Target(trace_id, clock.now())], Purpose.LIVE)

    version.refresh_from_db()
    assert version.frozen_at is not None
    assert version.rubric_version.frozen_at is not None


def test_what_is_live_is_judged_before_a_backfill(project):
    version = rules(project)
    first, second = store_traces(project, 1), store_traces(project, 1)
    queue(project.pk, version, [Target(first[0], clock.now())], Purpose.BACKFILL, backfill_id=1)
    queue(project.pk, version, [Target(second[0], clock.now())], Purpose.LIVE)

    from evals.judging.rules import judge_batch

    judge_batch(context.context_of(version.pk), limit=1)

    assert sql("SELECT target_id FROM evals_judgement WHERE state = 'scored'") == [(second[0],)]


def test_scores_sent_again_replace_and_keep_their_id(project):
    (trace_id,) = store_traces(project, 1)

    def put(number, external_id="a-1"):
        score = NewScore(3, 1, "helpful", 1, number=number, trace_id=trace_id, external_id=external_id)
        return put_scores(project.pk, [score])[0]

    first, again, other = put(3.0), put(4.0), put(5.0, "a-2")

    assert (first.is_new, again.is_new, other.is_new) == (True, False, True)
    assert again.score_id == first.score_id
    assert sorted(sql("SELECT number FROM evals_score")) == [(4.0,), (5.0,)]


def test_an_unknown_rule_version_waits_and_breaks_nothing(project):
    version = rules(project)
    draw(project, store_traces(project, 1))
    type(version).objects.filter(pk=version.pk).update(config={"rules": [{"kind": "nonsense"}]})
    context.forget()

    assert judge_rules(2) == 0

    assert reason_tallies(project) == {("pending", ""): 1}
