"""Dated checks of judges: planned by themselves, asked of people, tried as probes, told with intervals."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import time_machine
from django.db import connection
from django.test import Client
from scipy import stats

from evals import calibrating, routines
from evals.judges import probes
from evals.judges.injections import injections
from evals.judges.material import Document, Material
from evals.judges.verdict import CriterionScore, Verdict
from evals.judging.answers import pack_answer, told_of
from evals.models import Judge, ReviewQueue, Routine
from evals.read.calibration import EVERYTHING
from evals.read.pairs import Pair, PairSet, Rating
from evals.read.probes import Judged
from evals.routines import levels, probing
from evals.rubrics import Criterion, Scale, parse_rubric
from evals.stats.weighted import Sums
from tests.evals.calibration_rows import (
    add_judge_score,
    add_judgement,
    add_pairs,
    make_rubric,
    make_version,
    spec,
    trace_of,
)

NOON = datetime(2026, 11, 12, 12, tzinfo=UTC)
SCALE = Scale.points(1, 5)


@pytest.fixture
def traveller():
    with time_machine.travel(NOON, tick=False) as found:
        yield found


@pytest.fixture
def version(project):
    return make_version(project, kind="model")


def judged(project, version, n, *, level=3, at=NOON):
    for i in range(n):
        row = add_judgement(project, version, trace_of(i), pi=0.5, feature="returns", model="m")
        add_judge_score(project, version, trace_of(i), level, judgement=row, pi=0.5)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE evals_judgement SET done_at = %s, started_at = %s", [at, at])


def answer_probes(level_of):
    """Let the judge answer every probe: `level_of(repeat)` is its score, None an unusable answer."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT judgement_id, repeat FROM evals_judgement WHERE purpose = 5 AND state = 'pending'")
        for judgement_id, repeat in cursor.fetchall():
            level = level_of(repeat)
            state = "failed" if level is None else "scored"
            packed = (
                None if level is None else pack_answer(told_of(Verdict((CriterionScore("correctness", 1, level),)), ""))
            )
            cursor.execute(
                "UPDATE evals_judgement SET state = %s, answer = %s, cost_pico = 1000 WHERE judgement_id = %s",
                [state, packed, judgement_id],
            )


# Material of probes


def test_each_probe_alters_one_thing():
    rubric = parse_rubric(spec("correctness"))
    material = Material(question="q", answer="a" * 300, documents=(Document("1", "x"), Document("2", "y", rank=2)))

    assert probes.alter(material, 0, rubric) == material
    assert probes.alter(material, probes.number_of("repeat"), rubric) == material
    padded = probes.alter(material, probes.number_of("length"), rubric)
    assert 600 <= len(padded.answer) <= 750
    assert padded.answer.startswith(material.answer)
    turned = probes.alter(material, probes.number_of("position"), rubric)
    assert [(each.id, each.rank) for each in turned.documents] == [("2", 1), ("1", 2)]
    attacked = probes.alter(material, probes.number_of("injection", 3), rubric)
    assert attacked.answer != material.answer
    assert (attacked.question, attacked.documents) == (material.question, material.documents)


def test_every_number_of_a_probe_names_its_kind():
    for kind in probes.KINDS:
        assert probes.kind_of(probes.number_of(kind)) == kind
    assert probes.kind_of(probes.number_of("injection", len(injections()) - 1)) == "injection"
    assert probes.kind_of(0) == ""
    assert probes.number_of("injection", 9_000) < 2**15


# Planning


@pytest.mark.django_db
def test_a_live_judge_has_each_check_once(traveller, project, version):
    assert routines.plan() == 6
    assert routines.plan() == 0

    due = dict(Routine.objects.values_list("kind", "due_at"))
    live_since = Judge.objects.get().live_since
    assert due["quarterly"] == live_since + timedelta(days=91)
    assert due["monthly"] == live_since + timedelta(days=60)
    assert due["injection"] == live_since + timedelta(days=1)


@pytest.mark.django_db
def test_rules_are_not_tried_for_bias_and_drafts_have_no_checks(traveller, project):
    make_version(project, slug="rules", kind="rule")
    make_version(project, make_rubric(project, number=2), slug="draft", kind="model", is_live=False)

    assert routines.plan() == 2
    assert set(Routine.objects.values_list("kind", flat=True)) == {"monthly", "quarterly"}


@pytest.mark.django_db
def test_the_next_check_is_a_month_after_the_last(traveller, project, version):
    routines.plan()
    Routine.objects.filter(kind="repeat").update(state="done", done_at=NOON)

    assert routines.plan() == 1
    assert Routine.objects.get(kind="repeat", state="due").due_at == NOON + timedelta(days=30)


@pytest.mark.django_db
def test_a_judge_taken_down_drops_what_was_due(traveller, project, version):
    routines.plan()
    Judge.objects.update(live_version=None)
    Routine.objects.update(created_at=NOON - timedelta(days=2))

    routines.plan()

    assert set(Routine.objects.values_list("state", flat=True)) == {"skipped"}


# Probes


@pytest.mark.django_db
def test_a_judge_that_contradicts_itself_is_told_with_an_interval(traveller, project, version):
    judged(project, version, 40)
    routine_id = routines.begin_now(project, view_of(project), "repeat")

    row = Routine.objects.get(pk=routine_id)
    assert row.state == "running"
    states = count_probes()
    assert states == {(1, "pending"): 40}
    turns = iter(range(40))
    answer_probes(lambda repeat: 3 if next(turns) % 4 else 4)
    assert routines.tend() == 1

    result = Routine.objects.get(pk=routine_id).result
    found = result["criteria"]["correctness"]
    assert (found["same"], found["of"]) == (30, 40)
    low, high = stats.binomtest(30, 40).proportion_ci(method="exact")
    assert (found["same_share"]["low"], found["same_share"]["high"]) == pytest.approx((low, high), abs=1e-9)
    assert found["moved"]["value"] == 0.25
    assert result["cost_pico"] == 40_000


def view_of(project, slug="quality"):
    from evals.read.setup import get_judge

    return get_judge(project.pk, slug)


def count_probes():
    with connection.cursor() as cursor:
        cursor.execute("SELECT repeat, state, count(*) FROM evals_judgement WHERE purpose = 5 GROUP BY 1, 2 ORDER BY 1")
        return {(repeat, state): n for repeat, state, n in cursor.fetchall()}


@pytest.mark.django_db
def test_probes_are_no_scores_of_their_targets(traveller, project, version):
    judged(project, version, 5)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_score")
        before = cursor.fetchone()
        routines.begin_now(project, view_of(project), "length")
        answer_probes(lambda repeat: 5)
        routines.tend()
        cursor.execute("SELECT count(*) FROM evals_score")

        assert cursor.fetchone() == before
    assert Routine.objects.get().result["criteria"]["correctness"]["moved"]["value"] == 2.0
    assert Routine.objects.get().result["criteria"]["correctness"]["word"] == "up"


@pytest.mark.django_db
@pytest.mark.parametrize(("raised", "word"), [(0, "hardened"), (3, "not_shown"), (40, "talked_round")])
def test_flips_by_injections_are_put_to_the_bar(traveller, project, version, raised, word):
    judged(project, version, 60, level=2)
    routines.begin_now(project, view_of(project), "injection")
    turns = iter(range(1_000))
    answer_probes(lambda repeat: 5 if next(turns) < raised else 2)

    routines.tend()

    result = Routine.objects.get().result
    assert (result["flips"], result["attacks"], result["word"]) == (raised, 200, word)
    low, high = stats.binomtest(raised, 200).proportion_ci(method="exact")
    assert (result["flip_share"]["low"], result["flip_share"]["high"]) == pytest.approx((low, high), abs=1e-9)
    assert sum(found["attacks"] for found in result["by_kind"].values()) == 200


@pytest.mark.parametrize("n", [1, 2, 7, 40, 41, 60, 200, 500])
def test_no_attack_comes_twice_to_an_answer_and_all_come_in_turn(n):
    targets = [Judged(1, trace_of(i), 0, NOON, "", "", "", "") for i in range(n)]

    found = probing.trials("injection", targets, {}, 4, 1)

    attacks = len(injections())
    assert len(found) == min(200, n * attacks)
    assert len({(each.target.target_id, each.repeat) for each in found}) == len(found)
    assert len({each.repeat for each in found}) == min(attacks, len(found))
    assert len({each.target.target_id for each in found}) == min(n, len(found))


@pytest.mark.django_db
def test_answers_at_the_top_are_not_attacked(traveller, project, version):
    judged(project, version, 10, level=5)

    routines.begin_now(project, view_of(project), "injection")

    assert count_probes() == {}
    assert Routine.objects.get().state == "due"


@pytest.mark.django_db
def test_unusable_answers_of_probes_are_counted_and_no_figure(traveller, project, version):
    judged(project, version, 10)
    routines.begin_now(project, view_of(project), "repeat")
    turns = iter(range(10))
    answer_probes(lambda repeat: None if next(turns) < 4 else 3)
    routines.tend()

    result = Routine.objects.get().result
    assert (result["probes"], result["scored"], result["came_to_nothing"]) == (10, 6, 4)
    assert result["criteria"]["correctness"]["of"] == 6


@pytest.mark.django_db
def test_a_probe_waits_until_something_is_judged(traveller, project, version):
    routine_id = routines.begin_now(project, view_of(project), "repeat")

    row = Routine.objects.get(pk=routine_id)
    assert (row.state, row.due_at) == ("due", NOON + timedelta(days=1))
    assert row.result["reason"] == "this version scored nothing in the last 30 days yet"


@pytest.mark.django_db
def test_a_probe_that_hangs_is_told_after_three_days(traveller, project, version):
    judged(project, version, 10)
    routine_id = routines.begin_now(project, view_of(project), "repeat")
    assert routines.tend() == 0

    traveller.move_to(NOON + timedelta(days=3))

    assert routines.tend() == 1
    assert Routine.objects.get(pk=routine_id).result["probes"] == 0


@pytest.mark.django_db
def test_beginning_twice_does_one_thing(traveller, project, version):
    judged(project, version, 10)

    assert routines.begin_now(project, view_of(project), "repeat") is not None
    assert routines.begin_now(project, view_of(project), "repeat") is None
    assert count_probes() == {(1, "pending"): 10}


# Levels of months


def month(rng, mean, reviews=80, scored=600, bias=0.6, pi=0.5):
    """A month of traffic: truth about `mean`, a judge that leans, a random sample of reviews."""
    truth = np.clip(np.rint(rng.normal(mean, 1.0, scored)), 1, 5)
    judge = np.clip(np.rint(truth + bias + rng.normal(0, 0.7, scored)), 1, 5)
    chosen = rng.choice(scored, reviews, replace=False)
    pairs = tuple(
        Pair(
            trace_of(int(i)), 0, (Rating("ann", int(truth[i]) - 1, NOON),), int(truth[i]) - 1, int(judge[i]) - 1,
            pi * reviews / scored, "", "", "", started_at=NOON, pi_judge=pi, pi_review=reviews / scored,
        )
        for i in chosen
    )  # fmt: skip
    return levels.Month(pairs, Sums.of(judge, pi))


def test_a_month_of_noise_is_not_flagged():
    rng = np.random.default_rng(20261112)
    words = [levels.moved(month(rng, 3.4), month(rng, 3.4), SCALE)["word"] for _ in range(400)]

    # At 95 % about 20 of 400 intervals miss 0; more than 39 has a chance under 1e-4. A move of .3 is rarer still.
    assert words.count("noise") >= 400 - stats.binom.isf(1e-4, 400, 0.05)
    assert words.count("moved") <= stats.binom.isf(1e-4, 400, 0.05)
    assert words.count("too_few") == 0


def test_a_judge_that_leans_otherwise_this_month_is_no_move_of_quality():
    rng = np.random.default_rng(5)
    found = [levels.moved(month(rng, 3.4, bias=0.0), month(rng, 3.4, bias=1.2), SCALE) for _ in range(100)]

    assert sum(each["word"] == "noise" for each in found) >= 100 - stats.binom.isf(1e-4, 100, 0.05)


def test_a_fall_of_quality_is_not_noise():
    rng = np.random.default_rng(7)
    words = [levels.moved(month(rng, 4.0), month(rng, 3.0), SCALE)["word"] for _ in range(50)]

    assert words.count("moved") >= 48


def test_few_reviews_give_no_difference():
    rng = np.random.default_rng(9)
    found = levels.moved(month(rng, 3.4, reviews=29), month(rng, 3.4), SCALE)

    assert found["word"] == "too_few"
    assert found["difference"] is None
    assert found["before"] == {"have": 29, "need": 30, "what": "reviews of drawn answers"}


def test_noise_says_whether_it_may_hide_a_move():
    rng = np.random.default_rng(11)

    few = levels.moved(month(rng, 3.4, reviews=40), month(rng, 3.4, reviews=40), SCALE)
    many = levels.moved(month(rng, 3.4, reviews=500), month(rng, 3.4, reviews=500), SCALE)

    assert (few["word"], few["rules_out"], many["word"], many["rules_out"]) == ("noise", False, "noise", True)
    half = (few["difference"]["high"] - few["difference"]["low"]) / 2
    assert few["need_more"] == pytest.approx(40 * (half / 0.3) ** 2 - 40, abs=10)
    assert many["need_more"] is None


def labelled(rng, n, spread):
    """Pairs of one quarter: a judge that is off by `spread`."""
    truth = rng.integers(0, 5, n)
    judge = np.clip(np.rint(truth + rng.normal(0, spread, n)), 0, 4).astype(int)
    pairs = tuple(
        Pair(trace_of(i), 0, (Rating("ann", int(a), NOON),), int(a), int(b), None, "", "", "")
        for i, (a, b) in enumerate(zip(truth, judge, strict=True))
    )
    return PairSet(Criterion("correctness", "Correctness", "True.", SCALE), EVERYTHING, pairs)


def test_a_quarter_of_noise_is_told_from_a_judge_that_fell():
    rng = np.random.default_rng(20261113)
    words = [
        levels.apart(labelled(rng, 150, 0.7), labelled(rng, 150, 0.7), "weighted_kappa", seed, 200)["word"]
        for seed in range(60)
    ]

    # At 95 % about 3 of 60 intervals miss 0; more than 11 has a chance under 1e-4.
    assert words.count("noise") >= 60 - stats.binom.isf(1e-4, 60, 0.05)
    fell = levels.apart(labelled(rng, 200, 0.5), labelled(rng, 200, 1.5), "weighted_kappa", 1)
    assert fell["word"] == "lower"
    assert fell["difference"]["value"] == pytest.approx(fell["newer"]["value"] - fell["older"]["value"])
    few = levels.apart(labelled(rng, 10, 0.5), labelled(rng, 200, 0.5), "weighted_kappa", 1)
    assert (few["word"], few["older"]) == ("too_few", {"have": 10, "need": 20, "what": "labelled answers"})


def test_the_most_any_criterion_says_is_the_word():
    assert levels.overall({"a": {"word": "noise"}, "b": {"word": "moved"}}) == "moved"
    assert levels.overall({"a": {"word": "noise"}, "b": {"word": "too_few"}}) == "too_few"
    assert levels.overall({}) == "too_few"


@pytest.mark.django_db
def test_a_monthly_look_asks_people_when_labels_are_few(traveller, project, version):
    judged(project, version, 100)
    routine_id = routines.begin_now(project, view_of(project), "monthly")

    row = Routine.objects.get(pk=routine_id)
    assert row.state == "running"
    queue = ReviewQueue.objects.get()
    assert (queue.kind, queue.items.count(), row.queue_id) == ("calibration", 60, queue.pk)

    traveller.move_to(NOON + timedelta(days=14))
    assert routines.tend() == 1
    done = Routine.objects.get(pk=routine_id)
    assert done.result["word"] == "too_few"


@pytest.mark.django_db
def test_a_quarterly_task_is_over_when_all_is_labelled(traveller, project, version):
    judged(project, version, 30)
    routine_id = routines.begin_now(project, view_of(project), "quarterly")
    assert routines.tend() == 0

    ReviewQueue.objects.get().items.update(state="done")

    assert routines.tend() == 1
    assert Routine.objects.get(pk=routine_id).state == "done"


@pytest.mark.django_db
def test_a_quarter_says_whether_agreement_moved_by_more_than_noise(
    traveller, project, version, alice, sign_in, key, client
):
    noon = {"at": NOON - timedelta(days=1)}
    add_pairs(project, version, [(1 + n % 5, 1 + n % 5) for n in range(60)], by="ann", start=500, **noon)
    judged(project, version, 30)
    calibrating.calibrate_all(project.pk, version.pk, "correctness")
    routine_id = routines.begin_now(project, view_of(project), "quarterly")
    traveller.move_to(NOON + timedelta(hours=1))
    later = {"at": NOON + timedelta(minutes=30), "start": 200}
    add_pairs(project, version, [(1 + n % 5, 1 + (n * 3) % 5) for n in range(60)], by="ben", **later)
    ReviewQueue.objects.get().items.update(state="done")

    assert routines.tend() == 1

    answer = client.get(f"/api/v1/routines/{routine_id}", headers={"Authorization": f"Bearer {key.secret}"}).json()
    found = answer["result"]["criteria"]["correctness"]
    assert (found["before"]["pairs"], found["now"]["pairs"]) == (60, 120)
    moved = found["moved"]
    assert (moved["older"]["value"], moved["word"]) == (1, "lower")
    assert moved["difference"]["high"] < 0
    page = sign_in(alice).get(f"{ROUTINES}{routine_id}/").content.decode()
    assert "agreement fell, which is not noise" in page
    assert "New labels alone: " in page


# Pages and REST

ROUTINES = "/p/shop/judges/quality/routines/"


@pytest.mark.django_db
def test_checks_are_shown_begun_and_skipped_by_page(traveller, alice, project, version, sign_in):
    judged(project, version, 40, level=2)
    client = sign_in(alice)
    assert "Nothing is due" in client.get(ROUTINES).content.decode()

    begun = client.post(ROUTINES + "new/", {"kind": "injection"})

    assert begun.status_code == 302
    address = begun["Location"]
    assert "0 of 200 judged" in client.get(address).content.decode()
    answer_probes(lambda repeat: 2)
    routines.tend()
    page = client.get(address).content.decode()
    assert "0 of 200 attacks raised the score, 0% (95% CI 0%–1.8%): within the bar of 2%" in page
    assert "By kind of attack" in page
    assert "None of them is a score of its trace" in page
    assert "within the bar of 2%" in client.get(ROUTINES).content.decode()
    monthly = client.post(ROUTINES + "new/", {"kind": "monthly"})["Location"]
    assert client.post(monthly + "skip/").status_code == 302
    assert "Skipped" in client.get(monthly).content.decode()
    assert client.get("/p/shop/judges/other/routines/").status_code == 404


@pytest.mark.django_db
def test_checks_are_read_begun_and_skipped_by_rest(traveller, project, version, key):
    judged(project, version, 40)
    api = Client(headers={"Authorization": f"Bearer {key.secret}"})
    body = {"judge": "quality", "kind": "repeat"}

    made = api.post("/api/v1/routines", body, content_type="application/json")

    assert made.status_code == 201, made.content
    assert "targets" not in made.json()["result"]
    assert api.post("/api/v1/routines", body, content_type="application/json").status_code == 409
    assert [item["id"] for item in api.get("/api/v1/routines?judge=quality&kind=repeat").json()["items"]] == [
        made.json()["id"]
    ]
    assert api.delete(f"/api/v1/routines/{made.json()['id']}").status_code == 204
    assert api.delete(f"/api/v1/routines/{made.json()['id']}").status_code == 409
    assert api.get(f"/api/v1/routines/{made.json()['id']}").json()["state"] == "skipped"
    wrong = api.post("/api/v1/routines", body | {"kind": "luck"}, content_type="application/json")
    assert wrong.json()["errors"][0]["field"] == "kind"
