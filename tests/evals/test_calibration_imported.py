"""A team brings labels and judges of its own through REST, and reads their calibration back through REST."""

import statistics
from datetime import timedelta

import numpy as np
import pytest
import time_machine
from django.test import Client
from statsmodels.stats.inter_rater import cohens_kappa

from evals import calibrating
from telltale.lib import clock

pytestmark = pytest.mark.django_db
FLAG = ("recall", "precision", "false_flag_share", "false_alarms", "prevalence")
JSON = {"content_type": "application/json"}
RUBRIC = {
    "name": "Answers",
    "slug": "answers",
    "criteria": [
        {
            "key": "correctness",
            "title": "Correctness",
            "definition": "Every claim in the answer is supported by a document.",
            "scale": {"kind": "points", "low": 1, "high": 5},
        }
    ],
}


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


def send(api, items):
    answer = api.post("/api/v1/labels/import", {"items": items, "rubric": RUBRIC}, **JSON)
    assert answer.status_code == 200, answer.content[:800]
    assert answer.json()["rejected"] == 0, answer.json()["items"][:3]


def after_a_minute():
    with time_machine.travel(clock.now() + timedelta(minutes=1)):
        calibrating.tend()


def clipped(rng, truth, spread):
    return np.clip(np.rint(truth + rng.normal(0, spread, truth.size)), 1, 5).astype(int)


def kappa_of(first, second):
    table = np.zeros((5, 5))
    np.add.at(table, (np.array(first) - 1, np.array(second) - 1), 1)
    return cohens_kappa(table, weights=np.subtract.outer(np.arange(5), np.arange(5)) ** 2).kappa


def resampled(first, second):
    """The percentile interval of weighted kappa, apart from the code under test."""
    rng = np.random.default_rng(7)
    first, second = np.array(first), np.array(second)
    draws = (rng.integers(0, first.size, first.size) for _ in range(200))
    return np.quantile([kappa_of(first[at], second[at]) for at in draws], (0.025, 0.975))


def test_a_thousand_items_three_reviewers_and_two_judges_come_in_and_their_calibration_out(api, project):
    rng = np.random.default_rng(42)
    truth = np.clip(np.rint(rng.normal(3.6, 1.2, 1_000)), 1, 5)
    people = [clipped(rng, truth, 0.5) for _ in range(3)]
    judges = {"house-judge": clipped(rng, truth, 0.5), "cheap-judge": clipped(rng, truth, 1.6)}
    items = [
        {
            "trace_id": f"item-{n}",
            "reviews": [
                {"reviewer": f"r{at}", "scores": {"correctness": int(one[n])}} for at, one in enumerate(people)
            ],
            "judgements": [{"judge": name, "scores": {"correctness": int(one[n])}} for name, one in judges.items()],
        }
        for n in range(1_000)
    ]
    send(api, items)
    after_a_minute()

    agreed = [int(statistics.median(int(one[n]) for one in people)) for n in range(1_000)]
    for name, scores in judges.items():
        (found,) = api.get(f"/api/v1/calibrations?judge={name}&criterion=correctness").json()["items"]
        assert (found["pairs"], found["reviewers"]) == (1_000, 3)
        measured = found["result"]["agreement"]["weighted_kappa"]
        assert measured["value"] == pytest.approx(kappa_of(agreed, scores), abs=1e-6)
        assert measured["low"] < measured["value"] < measured["high"]
        table = [[sum(a == i and b == j for a, b in zip(agreed, scores, strict=True)) for j in range(1, 6)]
                 for i in range(1, 6)]  # fmt: skip
        assert found["result"]["counts"] == table
        assert found["result"]["people"]["weighted_kappa"]["n"] == 1_000
        for name, figure in found["result"]["agreement"].items():
            assert figure["low"] < figure["value"] < figure["high"], name
            assert found["result"]["people"][name]["low"] < found["result"]["people"][name]["value"], name
        low, high = resampled(agreed, scores)
        # Two bootstraps of 2,000 differ by their own chance, a few in a hundred of the width.
        assert (measured["low"], measured["high"]) == pytest.approx((low, high), abs=0.2 * (high - low))
        for figure in (found["result"]["bias"], *(found["result"]["flag"][name] for name in FLAG)):
            low, high = figure["bootstrap"]
            assert low < figure["value"] < high
            assert (figure["low"], figure["high"]) == pytest.approx((low, high), abs=0.01 + 0.15 * (high - low))
    found = {name: api.get(f"/api/v1/calibrations?judge={name}").json()["items"][0] for name in judges}
    agreement = {name: one["result"]["gate"]["checks"][0]["state"] for name, one in found.items()}
    assert agreement == {"house-judge": "proven", "cheap-judge": "failed"}
    assert found["cheap-judge"]["state"] == "failed"
    pairs = api.get("/api/v1/calibrations/pairs?judge=house-judge&criterion=correctness&limit=500").json()
    assert len(pairs["items"]) == 500
    assert len(pairs["items"][0]["labels"]) == 3


def test_a_kappa_of_085_on_200_labels_reads_not_proven_and_how_many_more(api, project, alice, sign_in):
    for seed in range(500):
        rng = np.random.default_rng(seed)
        truth = rng.integers(1, 6, 200).astype(float)
        person, judge = clipped(rng, truth, 0.62), clipped(rng, truth, 0.62)
        if abs(kappa_of(person, judge) - 0.853) < 0.002:
            break
    send(api, [
        {
            "trace_id": f"item-{n}",
            "reviews": [{"reviewer": "ann", "scores": {"correctness": int(person[n])}}],
            "judgements": [{"judge": "house-judge", "scores": {"correctness": int(judge[n])}}],
        }
        for n in range(200)
    ])  # fmt: skip
    after_a_minute()

    (found,) = api.get("/api/v1/calibrations?judge=house-judge").json()["items"]

    assert round(found["result"]["agreement"]["weighted_kappa"]["value"], 2) == 0.85
    assert found["state"] == "not_proven"
    assert found["need_more"] >= 200
    assert found["words"] == f"not proven on 200 labels: about {found['need_more']:,} more needed"
    check = found["result"]["gate"]["checks"][0]
    assert (check["name"], check["state"], check["wanted"]) == ("agreement", "not_proven", 0.85)
    assert check["low"] < 0.85 < check["high"]
    page = sign_in(alice).get("/p/shop/judges/house-judge/calibration/").content.decode()
    assert f"v1 is not proven on 200 answers: about {found['need_more']:,} more labels would decide" in page
    assert f"about {check['need_more']:,} to {check['need_more_high']:,} more labels would decide" in page
    assert ">Not proven<" in page


def test_labels_that_come_before_their_judge_are_calibrated_when_it_comes(api, project):
    people = [{"trace_id": f"item-{n}", "reviewer": "ann", "scores": {"correctness": 1 + n % 5}} for n in range(40)]
    judged = [{"trace_id": f"item-{n}", "judge": "late", "scores": {"correctness": 1 + n % 5}} for n in range(40)]

    send(api, people)
    after_a_minute()
    assert api.get("/api/v1/calibrations").json()["items"] == []

    send(api, judged)
    with time_machine.travel(clock.now() + timedelta(minutes=3)):
        calibrating.tend()
    (found,) = api.get("/api/v1/calibrations?judge=late").json()["items"]
    assert found["pairs"] == 40
