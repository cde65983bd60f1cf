"""The judge's own scores of silent sessions beside those of voters."""

from evals.read.survivorship import Drawn
from evals.rubrics.kinds import Scale
from evals.surviving.looking import judge_scores
from traces.behaviour.types import Stratum


def drawn(score, *, has_voted=False):
    return Drawn("search", Stratum.ABANDONED, has_voted, judge=None, pi_judge=0.5, score=score)


def test_means_stay_within_the_scale_they_were_given_on():
    found = judge_scores([drawn(5.0)] * 24 + [drawn(4.0)], Scale.points(1, 5))

    mean = found.silent[Stratum.ABANDONED]
    assert abs(mean.value - 4.96) < 1e-9
    assert mean.low < mean.value < mean.high == 5.0
    assert found.all_silent == mean
    assert found.apart is None


def test_too_few_scores_have_no_mean():
    found = judge_scores([drawn(5.0)] * 19, Scale.points(1, 5))

    assert not found.silent
    assert found.all_silent is None
