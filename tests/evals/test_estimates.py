"""Estimates for all traffic: sums are those of the single scores, intervals hold the truth, nothing is hidden."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals.models import Review
from evals.read.estimates import SCORES_MIN, Where, read_estimates, read_levels, read_over_time, whole_hours
from evals.stats.ppi import Corrected
from evals.stats.results import Estimate, TooLittle
from tests.evals.estimate_rows import SPEC, make_judge, make_traffic

pytestmark = pytest.mark.django_db
START = datetime(2026, 11, 16, tzinfo=UTC)
END = START + timedelta(days=2)


def ask(project, start=START, end=END, zone="UTC", **more):
    where = {name: more.pop(name) for name in list(more) if name in Where.__dataclass_fields__}
    return read_estimates(project.pk, zone, start, end, Where(**where), **more)


def one(found, name="correctness", key=None):
    return next(row for row in found.rows if row.of.name == name and row.key == key)


def hajek(pairs):
    y, pi = (np.array(each, dtype=float) for each in zip(*pairs, strict=True))
    return float((y / pi).sum() / (1 / pi).sum())


def test_the_estimate_is_that_of_the_single_scores(project):
    version = make_judge(project)
    made = make_traffic(project, version, start=START)

    row = one(ask(project))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(number / pi) / sum(1 / pi), count(*), sum(1 / pi), sum(1 / pi) ^ 2 / sum(1 / pi ^ 2)"
            " FROM evals_score WHERE name = 'correctness' AND source = 1"
        )
        mean, n, weight, n_eff = cursor.fetchone()

    assert row.raw.value == pytest.approx(mean, rel=1e-12)
    assert row.raw.value == pytest.approx(hajek([(y, pi) for y, _, pi, _, _ in made.judged]), rel=1e-12)
    assert (row.n, row.coverage) == (n, pytest.approx(weight))
    assert row.n_eff == pytest.approx(n_eff)
    assert row.raw.low < row.raw.value < row.raw.high
    assert (row.of.judge_slug, row.of.version, row.of.is_live, row.of.title) == ("quality", 1, True, "Correctness")


def test_the_plain_mean_misses_what_the_weighted_one_finds(project):
    made = make_traffic(project, make_judge(project), start=START, hours=48, an_hour=60)

    share = one(ask(project), "polite").raw

    truth = float(np.mean(made.polite))
    plain = float(np.mean([polite for _, polite, _, _, _ in made.judged]))
    assert share.low <= truth <= share.high
    assert not share.low <= plain <= share.high


def test_reviews_correct_a_judge_that_gives_too_much(project):
    made = make_traffic(project, make_judge(project), start=START, hours=48, an_hour=60, reviewed=0.3)

    row = one(ask(project))

    truth = float(np.mean(made.truth))
    assert isinstance(row.corrected, Corrected)
    assert row.corrected.estimate.low <= truth <= row.corrected.estimate.high
    assert not row.raw.low <= truth <= row.raw.high
    assert row.reviews == row.corrected.estimate.n
    assert 0 < row.corrected.lam <= 1
    assert row.corrected.effective_reviews >= row.reviews


def test_few_scores_and_few_reviews_give_no_figure_but_what_is_needed(project):
    make_traffic(project, make_judge(project), start=START, hours=1, an_hour=30, reviewed=0.5)

    row = one(ask(project))

    assert row.raw == TooLittle(row.n, SCORES_MIN, "scores")
    assert 0 < row.n < SCORES_MIN
    assert row.corrected == TooLittle(row.reviews, 30, "reviews")


@pytest.mark.parametrize("by", ["feature", "model", "prompt_version", "hour", "day", "week"])
def test_groups_add_up_to_the_whole(project, by):
    make_traffic(project, make_judge(project), start=START)

    whole, groups = one(ask(project)), [row for row in ask(project, by=by).rows if row.of.name == "correctness"]

    assert sum(row.n for row in groups) == whole.n
    assert sum(row.coverage for row in groups) == pytest.approx(whole.coverage)
    values = [row.coverage * row.raw.value for row in groups if isinstance(row.raw, Estimate)]
    if len(values) == len(groups):
        assert sum(values) / whole.coverage == pytest.approx(whole.raw.value)
    kinds = {"hour": datetime, "day": date, "week": date}
    assert {type(row.key) for row in groups} == {kinds.get(by, str)}


def test_a_part_of_the_traffic_is_its_group(project):
    make_traffic(project, make_judge(project), start=START)
    groups = {row.key: row for row in ask(project, by="feature").rows if row.of.name == "polite"}

    for feature in ("search", "chat", ""):
        alone = one(ask(project, feature=feature), "polite")
        assert (alone.n, alone.raw) == (groups[feature].n, groups[feature].raw)


def test_days_are_those_of_the_projects_zone(project):
    make_traffic(project, make_judge(project), start=START, hours=48)

    utc = {row.key for row in ask(project, by="day").rows}
    kiritimati = {row.key for row in ask(project, by="day", zone="Pacific/Kiritimati").rows}

    assert utc == {date(2026, 11, 16), date(2026, 11, 17)}
    assert kiritimati == {date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)}


def test_windows_are_widened_to_whole_hours(project):
    make_traffic(project, make_judge(project), start=START, hours=4)

    found = ask(project, start=START + timedelta(minutes=90), end=START + timedelta(minutes=150))

    assert (found.start, found.end) == (START + timedelta(hours=1), START + timedelta(hours=3))
    assert one(found).n == sum(row.n for row in ask(project, by="hour").rows
                               if row.of.name == "correctness" and found.start <= row.key < found.end)  # fmt: skip
    assert whole_hours(START, END) == (START, END)


def test_nonresponse_is_told_and_weighted_up(project):
    made = make_traffic(project, make_judge(project), start=START, an_hour=60, failed=0.2)

    found = ask(project)
    coverage, row = found.coverage[one(found).of.judge_id], one(found)

    assert coverage.covered == 48 * 60
    assert sum(coverage.states.values()) == coverage.taken == coverage.ended
    assert coverage.states["scored"] == row.n
    assert coverage.nonresponse == pytest.approx(1 - row.n / coverage.taken)
    assert coverage.is_flagged
    assert coverage.reasons == (("failed", "unparsable", coverage.states["failed"]),)
    # Without it the sum of weights would be a fifth short of the traffic.
    assert row.coverage == pytest.approx(48 * 60, rel=0.06)
    assert sum(1 / pi for _, _, pi, _, _ in made.judged) < 0.9 * 48 * 60


def test_of_few_failures_nothing_is_flagged(project):
    make_traffic(project, make_judge(project), start=START, failed=0.0)

    found = ask(project)

    assert not found.coverage[one(found).of.judge_id].is_flagged


def test_versions_are_never_pooled_and_the_live_one_comes_first(project):
    first, second = make_judge(project, live=False), make_judge(project, number=2)
    make_traffic(project, first, start=START, hours=24)
    make_traffic(project, second, start=START + timedelta(hours=24), hours=24, seed=2)

    rows = [row for row in ask(project).rows if row.of.name == "correctness"]

    assert [(row.of.version, row.of.is_live) for row in rows] == [(2, True), (1, False)]
    assert [row.n for row in rows] == [one(ask(project, version_id=v.pk)).n for v in (second, first)]


def test_reviews_by_hand_undone_or_not_blind_count_for_nothing(project):
    version = make_judge(project)
    make_traffic(project, version, start=START, an_hour=60, reviewed=0.3)
    before = one(ask(project)).reviews

    each = list(Review.objects.order_by("pk"))
    Review.objects.filter(pk=each[0].pk).update(pi_review=None)
    Review.objects.filter(pk=each[1].pk).update(undone_at=END)
    Review.objects.filter(pk=each[2].pk).update(was_blind=False)
    Review.objects.filter(pk=each[3].pk).update(is_skip=True)

    assert one(ask(project)).reviews == before - 4


def test_levels_are_weighted_to_all_traffic(project):
    version = make_judge(project)
    made = make_traffic(project, version, start=START)

    levels = read_levels(project.pk, START, END, ["correctness"])[version.pk, "correctness"]

    assert sum(level.share for level in levels) == pytest.approx(1)
    assert sum(level.n for level in levels) == len(made.judged)
    fours = sum(1 / pi for y, _, pi, _, _ in made.judged if y == 4) / sum(1 / pi for _, _, pi, _, _ in made.judged)
    assert next(level.share for level in levels if level.level == "4") == pytest.approx(fours)


def test_labels_without_an_order_have_no_mean(project):
    scale = {"kind": "labels", "labels": ["refund", "delivery"], "ordered": False}
    spec = {"criteria": [{**SPEC["criteria"][0], "scale": scale}]}
    spec["criteria"][0].pop("flag_at_most")
    make_traffic(project, make_judge(project, spec=spec), start=START)

    assert one(ask(project)).raw == TooLittle(0, SCORES_MIN, "scores on an ordered scale")


def test_another_projects_scores_are_not_seen(project, charlie):
    from telltale.projects.models import Project

    make_traffic(project, make_judge(project), start=START)
    far = Project.objects.get(slug="far")

    assert ask(far).rows == ()
    assert ask(far).coverage == {}


def test_questions_are_as_many_however_many_scores(project):
    counts = []
    version = make_judge(project)
    for seed in (1, 2):
        make_traffic(project, version, start=START, seed=seed, reviewed=0.2, plan_id=seed)
        with CaptureQueriesContext(connection) as queries:
            ask(project)
        counts.append(len(queries))

    assert counts[0] == counts[1] <= 12


@pytest.fixture
def get(project, key):
    from django.test import Client

    from telltale.projects import keys

    keys.cache.clear()
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})
    yield lambda query="": client.get(
        f"/api/v1/estimates?from={START:%Y-%m-%dT%H:%M:%SZ}&to={END:%Y-%m-%dT%H:%M:%SZ}&{query}"
    )
    keys.cache.clear()


def test_rest_tells_uncorrected_and_corrected_apart(project, get):
    make_traffic(project, make_judge(project), start=START, an_hour=60, reviewed=0.3)
    make_traffic(project, make_judge(project, slug="other", name="Other"), start=START, hours=1, seed=3, plan_id=5)

    told = get().json()

    row = next(item for item in told["items"] if (item["judge"], item["criterion"]) == ("quality", "correctness"))
    assert row["uncorrected"]["estimate"]["low"] < row["uncorrected"]["estimate"]["value"]
    assert row["corrected"]["estimate"]["n"] == row["reviews"] >= 30
    assert (row["badge"], row["scale_low"], row["scale_high"]) == ("none", 1, 5)
    few = next(item for item in told["items"] if (item["judge"], item["criterion"]) == ("other", "polite"))
    assert few["uncorrected"]["too_little"] == {"have": few["scores"], "need": 20, "what": "scores"}
    assert few["corrected"]["too_little"] == {"have": 0, "need": 30, "what": "reviews"}
    assert {each["judge"]: each["covered"] for each in told["coverage"]} == {"quality": 2880, "other": 20}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("judge=nobody", "judge"),
        ("version=1", "version"),
        ("judge=quality&version=9", "version"),
        ("by=colour", "by"),
        ("feature=a%00", "feature"),
        ("judgement=1", "query"),
    ],
)
def test_a_bad_question_names_its_field(project, get, query, field):
    make_judge(project)

    answer = get(query)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_rest_groups_and_narrows(project, get):
    make_traffic(project, make_judge(project), start=START)

    whole = get("judge=quality&version=1&criterion=polite").json()["items"]
    days = get("by=day&criterion=polite").json()["items"]
    unknown = get("feature=&criterion=polite").json()["items"]

    assert [row["criterion"] for row in whole] == ["polite"]
    assert [row["key"] for row in days] == ["2026-11-16", "2026-11-17"]
    assert 0 < unknown[0]["scores"] < whole[0]["scores"]


def test_a_judge_whose_judging_all_failed_is_in_the_coverage(project, get):
    make_traffic(project, make_judge(project), start=START, failed=1.0)

    told = get().json()

    assert told["items"] == []
    assert told["coverage"][0]["nonresponse"] == 1
    assert told["coverage"][0]["is_nonresponse_high"]


@pytest.mark.parametrize("step", ["hour", "day", "week"])
def test_the_whole_is_the_sum_of_its_points(project, step):
    make_traffic(project, make_judge(project), start=START, an_hour=40, reviewed=0.3)

    whole, points, _ = read_over_time(project.pk, "UTC", START, END, Where(), step)

    alone = ask(project)
    assert [(row.of, row.n, row.reviews) for row in whole.rows] == [(row.of, row.n, row.reviews) for row in alone.rows]
    for row, other in zip(whole.rows, alone.rows, strict=True):
        assert row.raw.value == pytest.approx(other.raw.value, rel=1e-12)
        assert row.raw.low == pytest.approx(other.raw.low, rel=1e-9)
        if isinstance(other.corrected, Corrected):
            assert row.corrected.estimate.value == pytest.approx(other.corrected.estimate.value, rel=1e-9)
    assert points.by == step
    assert whole.coverage == alone.coverage
