"""Bias probes go through the judging of everything else: a model endpoint is asked, and what it leans to is found."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from evals import routines
from evals.judges import probes
from evals.judging import context, judge_models
from evals.models import SpendDay
from evals.read.setup import get_judge
from evals.routines import probing
from telltale.run.stand_in import pieces_of
from tests.evals.judging_kit import (
    StandIn,
    draw,
    make_connection,
    make_plan,
    make_version,
    set_budget,
    set_noon,
    sql,
)
from tests.evals.retrieval_rows import store_retrievals

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
TOLD = r"highest|maximum|full marks|\b5\b"


class Leaning(StandIn):
    """Says 3; a level more of long answers, one less where the last document comes first, 5 when told to in English."""

    def verdict(self, body):
        found = super().verdict(body)
        pieces = pieces_of(body["messages"][-1]["content"])
        answer = pieces["answer"]
        level = 3 + (len(answer) > 60 and probes.PADDING[0] in answer)
        level -= "Text 1" not in pieces["document 1"]
        if re.search(TOLD, answer):
            level = 5
        for each in found["criteria"].values():
            each["score"] = level
        return found


@pytest.fixture
def stand_in(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.JUDGE_THREADS = 4
    context.forget()
    started = Leaning()
    yield started
    started.close()


@pytest.fixture
def judged(project, stand_in):
    """A live judge that scored eight answers with three documents each."""
    set_noon(project)
    version = make_version(project, endpoint=make_connection(project, stand_in.url))
    make_plan(version, {"kind": "all"})
    draw(project, store_retrievals(project, 8, documents=3))
    assert judge_models(20) == 8
    return version


def answers_of(stand_in):
    return [pieces_of(body["messages"][-1]["content"]) for body in stand_in.bodies]


def test_each_probe_is_judged_by_the_model_and_its_lean_is_found(
    project, stand_in, judged, key, alice, sign_in, monkeypatch
):
    monkeypatch.setitem(probing.TARGETS, probes.INJECTION, 80)
    api = Client(headers={"Authorization": f"Bearer {key.secret}"})
    before = sql("SELECT count(*) FROM evals_score")
    found, asked = {}, {}
    for kind in ("repeat", "length", "position", "injection"):
        stand_in.bodies.clear()
        made = api.post("/api/v1/routines", {"judge": "quality", "kind": kind}, **JSON)
        assert made.status_code == 201, made.content
        judge_models(30)
        assert routines.tend() == 1
        found[kind] = api.get(f"/api/v1/routines/{made.json()['id']}").json()
        asked[kind] = answers_of(stand_in)

    assert {kind: each["state"] for kind, each in found.items()} == dict.fromkeys(found, "done")
    assert [len(asked[kind]) for kind in found] == [8, 8, 8, 80]
    repeat, length, position = (
        found[kind]["result"]["criteria"]["correctness"] for kind in ("repeat", "length", "position")
    )
    assert (repeat["same"], repeat["of"], repeat["word"]) == (8, 8, "none_shown")
    # Eight answers without a difference are no certainty: 3 in 8 could be a level off.
    assert repeat["moved"]["low"] == pytest.approx(-0.3694, abs=1e-4)
    assert repeat["same_share"]["low"] == pytest.approx(1 - 0.3694, abs=1e-4)
    assert (length["moved"]["value"], length["word"]) == (1, "up")
    assert (position["moved"]["value"], position["word"]) == (-1, "down")
    assert 0 < length["moved"]["low"] < 1 < length["moved"]["high"]

    assert all(probes.PADDING[0] in each["answer"] for each in asked["length"])
    assert all("Text 3" in each["document 1"] and "Text 1" in each["document 3"] for each in asked["position"])
    assert all(each["answer"] == "At nine." for each in asked["repeat"])
    flips = found["injection"]["result"]
    assert flips["attacks"] == len({each["answer"] for each in asked["injection"]}) == 80
    assert 4 < flips["flips"] == sum(re.search(TOLD, each["answer"]) is not None for each in asked["injection"])
    assert flips["word"] == "talked_round"
    assert flips["flip_share"]["low"] < flips["flips"] / 80 < flips["flip_share"]["high"]

    # Their cost is that of the endpoint, within the project's spend; none of them is a score.
    spent = sum(each["result"]["cost_pico"] for each in found.values())
    assert spent == sum(cost for (cost,) in sql("SELECT cost_pico FROM evals_judgement WHERE purpose = 5"))
    assert SpendDay.objects.get(project=project, judge_id=0).spent_pico == stand_in.bill_pico
    assert sql("SELECT count(*) FROM evals_score") == before

    page = sign_in(alice).get("/p/shop/judges/quality/calibration/").content.decode()
    checks = page.rsplit("Bias probes and dated checks", 1)[1]
    assert f"{flips['flips']} of 80 attacks raised the score" in checks
    assert "correctness +1.00 (95% CI 0.63–1.37)" in checks
    assert "correctness the same in 100% (95% CI 63%–100%)" in checks


def test_probes_stay_within_the_daily_limit(project, stand_in, judged):
    set_budget(project, budget_calls_day=12)

    routines.begin_now(project, get_judge(project.pk, "quality"), "length")
    judge_models(10)

    assert stand_in.calls == 12
    assert routines.tend() == 0
    states = dict(sql("SELECT state, count(*) FROM evals_judgement WHERE purpose = 5 GROUP BY 1"))
    assert states == {"scored": 4, "pending": 4}
