"""The calibration of a judge by page: every state says what is known, what is not, and what to do next."""

from datetime import UTC, datetime, timedelta
from html import unescape

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import calibrating
from evals.models import Calibration, Judge, Routine, Settings
from evals.read import setup as set_up
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from tests.evals.calibration_rows import (
    add_judge_score,
    add_label,
    add_pairs,
    make_rubric,
    make_version,
    spec,
    trace_of,
)

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/judges/quality/calibration/"


@pytest.fixture
def version(project):
    return make_version(project)


@pytest.fixture
def owner(alice, project, sign_in):
    return sign_in(alice)


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:400]
    return unescape(answer.content.decode())


def calibrate(project, version):
    view = set_up.get_judge_version(project.pk, version.pk)
    return calibrating.calibrate(project.pk, view, view.rubric_version.rubric.criteria[0])


def noisy(n, spread, seed=1):
    rng = np.random.default_rng(seed)
    truth = rng.integers(1, 6, n)

    def seen():
        return np.clip(np.rint(truth + rng.normal(0, spread, n)), 1, 5)

    return list(zip(seen().tolist(), seen().tolist(), strict=True))


def recently(**more):
    return {"at": clock.now() - timedelta(days=1)} | more


def test_without_labels_it_says_so_and_what_to_do(owner, version):
    page = read(owner)

    assert "v1 has not been set against people yet" in page
    assert "No labels yet" in page
    assert "Ask people" in page
    assert "0 labels of people so far" in page


def test_labels_of_answers_that_the_version_did_not_score_are_named(owner, project, version):
    add_label(project, version.rubric_version, trace_of(0), 3)

    page = read(owner)

    assert "No labelled answer was scored by this version" in page
    assert "1 label of people so far" in page


def test_few_labels_give_figures_without_intervals_and_no_verdict(owner, project, version):
    add_pairs(project, version, noisy(8, 0.3), **recently())
    calibrate(project, version)

    page = read(owner)

    assert "v1 is not proven on 8 answers" in page
    assert "no interval from so few" in page
    assert "0 of 20 answers labelled by two people" in page
    assert 'class="badge watch">Not proven<' in page


def test_a_judge_that_agrees_is_proven(owner, project, version):
    add_pairs(project, version, noisy(600, 0.2), **recently())
    row = calibrate(project, version)

    page = read(owner)

    assert row.state == "proven"
    assert "v1 is proven: it agrees with people and passes all 3 checks" in page
    assert "3 of 3 met" in page
    assert "Weighted kappa" in page
    assert "missed" not in page.split("<main")[1].split("Agreement with people")[0]


def test_a_judge_that_misses_bad_answers_is_told_in_the_headline(owner, project, version):
    pairs = [(1, 1)] * 40 + [(1, 4)] * 40 + [(5, 5)] * 200
    add_pairs(project, version, pairs, note="Right policy, wrong amount", **recently())
    calibrate(project, version)

    page = read(owner)

    assert "v1 is not ready" in page
    assert "misses 40 of the 80 bad answers" in page
    assert "The 40 it missed" in page
    assert "8 of 40" in page
    assert "Right policy, wrong amount" in page
    assert 'class="h2 missed"' in page


def test_a_change_of_the_live_version_makes_it_stale_at_once(owner, project, version):
    add_pairs(project, version, noisy(60, 0.2), **recently())
    calibrate(project, version)
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    Judge.objects.update(live_version=newer, live_since=clock.now() + timedelta(seconds=1))

    page = read(owner, PAGE + "?v=1")

    assert "v1: the calibration no longer holds, v2 of the judge is live" in page
    assert "This calibration is stale" in page
    assert "v2 has not been set against people yet" in read(owner)


def test_it_is_stale_after_90_days(owner, project, version):
    add_pairs(project, version, noisy(60, 0.2), at=clock.now() - timedelta(days=91))
    calibrate(project, version)

    assert "it is older than 90 days" in read(owner)


def test_an_odd_text_is_shown_as_text(owner, project):
    rubric = make_rubric(project, spec("correctness", definition="<script>alert(1)</script> every claim."))
    version = make_version(project, rubric)
    note = "<img src=x onerror=alert(1)>"
    add_pairs(project, version, [(1, 5)] * 30, note=note, **recently())
    calibrate(project, version)

    raw = owner.get(PAGE).content.decode()

    assert note not in raw
    assert "&lt;img src=x" in raw


@pytest.mark.parametrize("query", ["?v=9", "?v=x", "?v=99999999999999", "?criterion=none", "?v=%C2%B2"])
def test_what_is_not_there_is_a_404(owner, version, query):
    read(owner, PAGE + query, 404)


def test_a_judge_of_nobody_and_strangers_get_a_404(owner, charlie, sign_in, version):
    read(owner, "/p/shop/judges/none/calibration/", 404)
    read(sign_in(charlie), PAGE, 404)


def test_the_page_asks_the_same_queries_however_much_there_is(owner, project, version):
    def queries():
        with CaptureQueriesContext(connection) as found:
            read(owner)
        return len(found)

    add_pairs(project, version, noisy(40, 0.4), **recently())
    calibrate(project, version)
    few = queries()
    add_pairs(project, version, noisy(200, 0.8, 2), start=100, **recently())
    for _ in range(5):
        calibrate(project, version)
    for number in (2, 3):
        make_version(project, version.rubric_version, number=number, is_live=False)

    assert queries() == few
    assert few <= 20


def test_history_is_drawn_once_there_are_two(owner, project, version):
    add_pairs(project, version, noisy(60, 0.3), **recently())
    calibrate(project, version)
    assert "Show as a table" not in read(owner)

    add_pairs(project, version, noisy(60, 0.3, 2), start=100, **recently())
    calibrate(project, version)

    page = read(owner)
    assert "v1 agrees with people at 0." in page
    assert "to stay live" in page


def test_computing_again_keeps_what_was_found(owner, project, version):
    add_pairs(project, version, noisy(30, 0.3), **recently())

    answer = owner.post(PAGE + "again/?v=1&criterion=correctness")

    assert answer.status_code == 302
    assert answer["Location"].startswith(PAGE)
    assert Calibration.objects.get().pairs == 30


def test_viewers_look_and_change_nothing(bob, sign_in, version):
    client = sign_in(bob)

    page = read(client)

    assert "Ask people" not in page
    assert "Compute again" not in page
    assert client.post(PAGE + "again/").status_code == 403
    assert client.get(PAGE + "gate/").status_code == 403


def test_the_gate_is_changed_for_the_project_and_for_one_judge(owner, project, version):
    add_pairs(project, version, noisy(300, 0.5), **recently())
    calibrate(project, version)
    form = {
        "of": "project", "metric": "krippendorff", "deploy_at": "0.7", "stay_at": "0.6", "people_margin": "",
        "recall_at_least": "0.5", "precision_at_least": "", "bias_at_most": "1", "unusable_at_most": "0.1",
        "self_agreement_at_least": "",
    }  # fmt: skip

    assert owner.post(PAGE + "gate/", form).status_code == 302

    kept = Settings.objects.get().gate
    assert kept["metric"] == "krippendorff"
    assert kept["people_margin"] is None
    page = read(owner)
    assert "Agreement with people, Krippendorff’s alpha, at least 0.60" in page
    assert AuditEntry.objects.filter(action="gate.change").count() == 1

    assert owner.post(PAGE + "gate/", form | {"of": "judge", "deploy_at": "0.95"}).status_code == 302

    assert Settings.objects.get().gate["judges"][str(version.judge_id)]["deploy_at"] == 0.95
    assert "checked" in read(owner, PAGE + "gate/").split('value="judge"')[1][:12]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"deploy_at": "1.5"}, "is out of range: a number from 0 to 1"),
        ({"deploy_at": "nan"}, "is out of range"),
        ({"deploy_at": ""}, "is required"),
        ({"recall_at_least": "many"}, "is no number"),
        ({"stay_at": "0.9", "deploy_at": "0.8"}, "is above what is needed to go live"),
        ({"metric": "luck"}, "is no measure of agreement"),
    ],
)
def test_a_gate_that_cannot_be_comes_back_with_what_was_typed(owner, version, more, words):
    form = {"of": "judge", "metric": "weighted_kappa", "deploy_at": "0.85", "stay_at": "0.8", "people_margin": "0.07"}

    answer = owner.post(PAGE + "gate/", form | more)

    page = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert words in page
    assert 'value="0.07"' in page
    assert not Settings.objects.exists()


def test_two_versions_are_compared_on_the_same_answers(owner, project, version):
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    pairs = noisy(120, 0.2)
    add_pairs(project, version, [(person, 1 + (judge + 1) % 5) for person, judge in pairs], **recently())
    for n, (_, judge) in enumerate(pairs[:100]):
        add_judge_score(project, newer, trace_of(n), judge)

    page = read(owner, PAGE + "compare/?v=1&against=2")

    assert "v2 agrees with people better than v1" in page
    assert "100 answers" in page
    assert "better" in page
    read(owner, PAGE + "compare/?v=1&against=7", 404)
    assert "v2 agrees with people better than v1" in read(owner, PAGE + "compare/")


def test_scopes_of_enough_answers_are_beside_the_whole(owner, project, version):
    from tests.evals.calibration_rows import add_judgement

    for n, (person, judge) in enumerate(noisy(70, 0.3)):
        row = add_judgement(project, version, trace_of(n), feature="returns" if n < 40 else "search", model="m1")
        add_judge_score(project, version, trace_of(n), judge, judgement=row)
        add_label(project, version.rubric_version, trace_of(n), person, **recently())
    made = calibrating.calibrate_all(project.pk, version.pk, "correctness")

    page = read(owner)

    assert made == 4  # all traffic, two features, one model
    assert "all traffic" in page
    assert "?v=1&criterion=correctness&feature=returns" in page
    assert "returns. Set against 40 answers" in read(owner, PAGE + "?feature=returns")


def test_dates_are_of_the_newest_label(project, version):
    late = datetime(2026, 11, 14, tzinfo=UTC)
    add_pairs(project, version, noisy(20, 0.2), at=late - timedelta(days=10))
    add_pairs(project, version, noisy(5, 0.2), start=50, at=late)

    row = calibrate(project, version)

    assert row.labels_until == late
    assert row.expires_at == late - timedelta(days=10) + timedelta(days=90)


def test_the_flag_and_what_people_differ_by_are_beside_agreement(owner, project, version):
    add_pairs(project, version, [(1, 1)] * 12 + [(2, 4)] * 8 + [(4, 4)] * 70 + [(5, 2)] * 10, by="ann", **recently())
    for n in range(0, 100, 4):
        add_label(project, version.rubric_version, trace_of(n), (1, 2, 4, 5)[n // 26], by="ben", **recently())
    calibrate(project, version)

    page = read(owner)

    flag = page.split("What the flag is worth")[1].split("</section>")[0]
    for words in ("12 of 20", "12 of 22", "10 of 22", "10 of 80", "20 of 100", "95% CI 39%–78%"):
        assert words in flag, words
    agreement = page.split("Measures of agreement")[1].split("</section>")[0]
    assert "People minus judge" in agreement
    assert "Over the traffic" not in agreement
    assert "The gate goes by weighted kappa" in agreement


def test_agreement_over_the_traffic_is_shown_where_the_gate_goes_by_it(owner, project, version):
    add_pairs(project, version, noisy(60, 0.4), pi_judge=1.0, pi_review=0.5, **recently())
    add_pairs(project, version, noisy(60, 0.9, 2), start=100, pi_judge=0.1, pi_review=0.5, **recently())
    row = calibrate(project, version)

    page = read(owner)

    told = row.result["agreement_of_traffic"]["weighted_kappa"]["value"]
    assert f"{told:.2f}" in page.split("Measures of agreement")[1].split("</section>")[0]
    assert "weighted kappa over the traffic" in page


def test_answers_nearly_all_at_one_level_are_told(owner, project, version):
    add_pairs(project, version, [(5, 5)] * 60 + [(4, 4)] * 3 + [(1, 5)] * 2, **recently())
    calibrate(project, version)

    assert "People put only 5 of these answers anywhere but at their commonest level" in read(owner)


def test_the_last_checks_are_on_the_page_with_their_intervals(owner, project):
    version = make_version(project, kind="model")
    share = {"value": 0.9, "low": 0.8239, "high": 0.951, "n": 100}
    moved = {"value": 0.13, "low": 0.06, "high": 0.21, "n": 100}
    found = {
        "repeat": {"criteria": {"correctness": {"same": 90, "of": 100, "same_share": share}}},
        "length": {"criteria": {"correctness": {"same": 90, "of": 100, "same_share": share, "moved": moved}}},
        "position": {"criteria": {"correctness": {"same": 90, "of": 100, "same_share": share}}},
        "injection": {"flips": 3, "attacks": 200, "word": "not_shown",
                      "flip_share": {"value": 0.015, "low": 0.0031, "high": 0.0432, "n": 200}},
    }  # fmt: skip
    for kind, result in found.items():
        for state in ("done", "due"):
            Routine.objects.create(
                project=project, judge=version.judge, kind=kind, state=state, due_at=clock.now(), done_at=clock.now(),
                result=result | {"version": 1} if state == "done" else None,
            )  # fmt: skip

    checks = read(owner).rsplit("Bias probes and dated checks", 1)[1]

    assert checks.count("correctness the same in 90% (95% CI 82%–95%)") == 2
    assert "correctness +0.13 (95% CI 0.06–0.21)" in checks
    assert "3 of 200 attacks raised the score, 1.5% (95% CI 0.3%–4.3%): not shown to be within 2%" in checks
    assert checks.count("not planned") == 3


@pytest.mark.parametrize("path", ["routines/", "calibration/compare/?v=1&against=2", "calibration/gate/"])
def test_the_other_pages_ask_the_same_queries_however_much_there_is(owner, project, version, path):
    newer = make_version(project, version.rubric_version, number=2, is_live=False)

    def queries():
        with CaptureQueriesContext(connection) as found:
            read(owner, f"/p/shop/judges/quality/{path}")
        return len(found)

    def add(n, start):
        add_pairs(project, version, noisy(n, 0.5), start=start, **recently())
        for i in range(start, start + n):
            add_judge_score(project, newer, trace_of(i), 3)
        for _ in range(n // 10):
            Routine.objects.create(
                project=project, judge=version.judge, kind="monthly", state="done", due_at=clock.now(), result={}
            )
        calibrate(project, version)

    add(30, 0)
    few = queries()
    add(200, 100)

    assert queries() == few
    assert few <= 15
