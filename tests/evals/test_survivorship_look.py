"""The check from its rows: who counts, what is left out and said, and what a drawn sample of sessions makes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evals import surviving
from evals.models import SurvivorshipSettings
from evals.stats.results import TooLittle
from evals.stats.survivorship import Anchor, Calibrated, NotIdentified
from evals.surviving.looking import look_at
from telltale.lib import clock
from tests.evals.behaviour_rows import BIASED, SMALL, judge_sessions, make_sessions, review_session
from tests.evals.estimate_rows import SPEC, make_judge
from traces.behaviour.types import Fact, Stratum

TRUTH = {
    Stratum.COMPLETED: 0.97,
    Stratum.CARRIED_ON: 0.9,
    Stratum.RETRIED: 0.55,
    Stratum.CORRECTED: 0.3,
    Stratum.ABANDONED: 0.5,
}


def start(hours=48):
    return clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


def check(project, hours=48, **more):
    return look_at(project.pk, start(hours), clock.now(), **more)


def test_no_session_at_all_is_said_to_tell_nothing(project):
    found = check(project)

    assert found.whole.units.is_empty
    assert (found.whole.verdict.colour, found.whole.verdict.rule) == ("grey", "no_sessions")
    assert found.features == ()
    assert found.scores is None


def test_open_and_unanswered_sessions_and_lone_traces_are_counted_apart(project):
    make_sessions(project, SMALL, start=start())
    make_sessions(project, {Stratum.OPEN: (3, 0, 17)}, start=start(), is_closed=False, seed=2)
    make_sessions(project, {Stratum.ABANDONED: (0, 2, 38)}, start=start(), facts=Fact.UNANSWERED, seed=3)
    make_sessions(project, {Stratum.UNKNOWN: (5, 1, 94)}, start=start(), facts=Fact.LONE, seed=4)

    found = check(project)

    units = found.whole.units
    assert found.whole.counts.n == sum(sum(cell) for cell in SMALL.values())
    assert (units.open, units.open_votes, units.unanswered, units.unanswered_votes) == (20, 3, 40, 2)
    assert units.lone.n == 100
    assert not found.whole.has_lone
    both = check(project, with_lone=True).whole
    assert both.counts.n == found.whole.counts.n + 100
    assert both.counts[Stratum.UNKNOWN].votes == 6
    assert both.has_lone


def test_traces_stand_in_where_no_trace_names_a_session(project):
    make_sessions(project, {Stratum.UNKNOWN: (50, 10, 140)}, start=start(), facts=Fact.LONE)

    found = check(project).whole

    assert found.counts.n == 200
    assert found.has_lone


def test_only_sessions_that_began_in_the_window_count(project):
    make_sessions(project, SMALL, start=start(30), hours=6)
    make_sessions(project, SMALL, start=start(80), hours=6, seed=2)

    assert check(project, 48).whole.counts.n == 1000
    assert check(project, 100).whole.counts.n == 2000


def test_each_feature_has_a_verdict_of_its_own_and_the_whole_is_their_sum(project):
    make_sessions(project, SMALL, start=start(), feature="search")
    make_sessions(project, {Stratum.CARRIED_ON: (0, 0, 60)}, start=start(), feature="chat", seed=2)
    make_sessions(project, {Stratum.CARRIED_ON: (1, 0, 9)}, start=start(), seed=3)

    found = check(project)

    assert [(each.feature, each.counts.n) for each in found.features] == [("search", 1000), ("chat", 60), ("", 10)]
    assert sum((each.counts for each in found.features[1:]), found.features[0].counts) == found.whole.counts
    assert found.features[1].verdict.rule == "no_votes"
    one = check(project, feature="search")
    assert one.whole.counts == found.features[0].counts
    assert one.whole.calibrated == found.features[0].calibrated
    assert one.features == ()
    assert check(project, feature="nobody").whole.counts.n == 0


def test_zero_votes_are_unknown_never_no_risk(project):
    make_sessions(project, {Stratum.ABANDONED: (0, 0, 400), Stratum.COMPLETED: (0, 0, 600)}, start=start())

    found = check(project).whole

    assert (found.verdict.colour, found.verdict.rule) == ("grey", "no_votes")
    assert found.verdict.votes is None
    assert isinstance(found.calibrated, NotIdentified)
    assert "unknown" in found.words.reason


def test_without_an_anchor_a_biased_product_is_amber_and_says_what_is_missing(project):
    make_sessions(project, BIASED, start=start(), with_rows=False)

    found = check(project)

    assert (found.whole.verdict.colour, found.whole.verdict.rule) == ("amber", "calibrated_excludes_votes")
    assert isinstance(found.whole.calibrated, Calibrated)
    assert found.whole.calibrated.estimate.value == pytest.approx(0.73, abs=0.02)
    assert found.whole.weighted.estimate.value == pytest.approx(found.whole.calibrated.estimate.value, abs=0.01)
    assert found.whole.verdict.reviews_needed == 93
    assert len(found.line) == 11
    assert found.line[0].value == found.whole.calibrated.estimate.value
    assert found.line[10].value < found.line[0].value


def test_reviews_of_judged_last_answers_make_the_anchor_and_turn_it_red(project):
    version = make_judge(project, kind="model")
    made = make_sessions(project, {stratum: tuple(n // 10 for n in cell) for stratum, cell in BIASED.items()},
                         start=start())  # fmt: skip
    judged, read = judge_sessions(project, version, made, TRUTH, pi=0.4, reviewed=0.25)

    found = check(project)

    anchor = found.whole.anchor
    assert isinstance(anchor, Anchor)
    assert (anchor.n, anchor.judged) == (read, judged - read)
    truth = sum(TRUTH[one.stratum] for one in made) / len(made)
    assert anchor.low < truth < anchor.high
    assert (found.whole.verdict.colour, found.whole.verdict.rule) == ("red", "anchor_below_votes")
    assert found.whole.gap == pytest.approx(found.whole.verdict.votes.value - anchor.estimate)
    assert found.scores.apart is not None
    assert set(found.scores.silent) <= set(BIASED)


def test_only_what_was_drawn_blind_and_is_the_last_answer_of_a_closed_session_anchors(project):
    version = make_judge(project, spec={"criteria": [SPEC["criteria"][1]]})
    SurvivorshipSettings.objects.create(project=project, method="reviews")
    made = make_sessions(project, SMALL, start=start())
    still_open = make_sessions(project, {Stratum.OPEN: (0, 0, 5)}, start=start(), is_closed=False, seed=2)
    lone = make_sessions(project, {Stratum.UNKNOWN: (0, 0, 5)}, start=start(), facts=Fact.LONE, seed=3)
    for at, one in enumerate(made[:45]):
        review_session(project, version, one, is_fine=at % 3 > 0)
    before = check(project).whole.anchor
    assert (before.n, before.estimate) == (45, pytest.approx(2 / 3))

    for one in (*still_open, *lone):
        review_session(project, version, one, is_fine=True)
    review_session(project, version, made[50], is_fine=True, pi_review=None)
    review_session(project, version, made[51], is_fine=True, was_blind=False)
    review_session(project, version, made[52], is_fine=True, is_skip=True)
    review_session(project, version, made[53], is_fine=True, undone_at=clock.now())
    review_session(project, version, made[54], is_fine=True, verdict="unsure")
    review_session(project, version, made[55], is_fine=True, span_id=7)

    assert check(project).whole.anchor == before
    # A second reader counts with the first as their mean, an adjudication settles it.
    review_session(project, version, made[0], is_fine=True, by="ann")
    assert check(project).whole.anchor.estimate == pytest.approx((30 + 0.5) / 45)
    review_session(project, version, made[0], is_fine=True, by="kim", was_blind=False, is_adjudication=True)
    assert check(project).whole.anchor.estimate == pytest.approx(31 / 45)


def test_few_reviews_are_told_with_how_many_are_needed(project):
    version = make_judge(project)
    made = make_sessions(project, SMALL, start=start())
    for one in made[:12]:
        review_session(project, version, one, is_fine=True)

    found = check(project).whole

    assert found.anchor == TooLittle(12, 30, "reviews")
    assert found.verdict.colour != "green"


def test_the_answers_of_a_judge_are_thinned_to_a_sample_with_known_weights(project, monkeypatch):
    version = make_judge(project)
    made = make_sessions(project, {Stratum.CARRIED_ON: (100, 20, 1380)}, start=start())
    judge_sessions(project, version, made, {Stratum.CARRIED_ON: 0.7}, pi=1.0, reviewed=0.1)
    every = check(project).whole.anchor

    monkeypatch.setattr("evals.read.survivorship.JUDGED_KEPT", 400)
    some = check(project).whole.anchor

    assert some.n == every.n
    assert 200 < some.judged < 400
    assert some.estimate == pytest.approx(every.estimate, abs=0.05)


def test_more_scores_than_are_looked_at_narrow_the_judge_to_the_newest(project, monkeypatch):
    version = make_judge(project)
    made = make_sessions(project, {Stratum.CARRIED_ON: (100, 20, 880)}, start=start())
    judge_sessions(project, version, made, {Stratum.CARRIED_ON: 0.7}, pi=1.0, reviewed=0.2)
    assert check(project).sample.judged_since is None

    monkeypatch.setattr("evals.read.survivorship.JUDGED_LOOKED_AT", 500)
    found = check(project)

    since = found.sample.judged_since
    judged = [each for each in found.sample.drawn if each.judge is not None]
    assert since is not None
    assert sum(each.times for each in judged) == 500
    # Older reviews stand, without the judge's help.
    assert sum(each.person is not None for each in found.sample.drawn) > sum(each.person is not None for each in judged)


def test_the_criterion_is_found_by_name_where_nobody_chose_one(project):
    assert surviving.anchoring_for(project.pk).method == "reviews"
    make_judge(project, slug="rules", name="Rules", kind="rule", spec={"criteria": [SPEC["criteria"][1]]})
    assert surviving.anchoring_for(project.pk).judging.key == "rules/polite"
    version = make_judge(project, kind="model")

    found = surviving.anchoring_for(project.pk)

    assert (found.judging.key, found.at_least, found.tolerance, found.is_default) == (
        "quality/correctness", 4.0, 0.05, True
    )  # fmt: skip
    assert found.judging.version_ids == (version.pk,)
    newer = make_judge(project, kind="model", number=2)
    assert surviving.anchoring_for(project.pk).judging.version_ids == (newer.pk, version.pk)
    SurvivorshipSettings.objects.create(project=project, method="judge", judge_id=version.judge_id, criterion="gone")
    lost = surviving.anchoring_for(project.pk)
    assert not lost.is_on
    assert "gone" in lost.lost


def test_the_example_is_the_same_code_over_made_up_counts():
    whole, supposed = surviving.example(start(), clock.now())

    assert whole.whole.verdict.bounds.low == pytest.approx(0.009)
    assert whole.whole.verdict.bounds.high == pytest.approx(0.999)
    assert whole.whole.verdict.colour == "grey"
    assert [(each.fine, each.reviews) for each in supposed] == [(84, 93), (56, 93)]
    assert supposed[0].verdict.colour == "green"
    assert supposed[1].verdict.colour in {"amber", "red"}
