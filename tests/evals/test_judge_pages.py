"""Judges by page: made from presets, edited as versions, put in production, tried, drawn for, backfilled."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evals import calibrating, setup
from evals.forms.rules import row_of
from evals.judges import JUDGE_PRESETS
from evals.models import Backfill, Judge, JudgeVersion
from evals.read import setup as read
from evals.setup import preflights
from evals.write.judgements import Purpose, Target, queue
from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.lib import clock
from telltale.projects.keys import make_key
from telltale.projects.models import ProjectMember
from tests.evals import calibration_rows
from tests.web.looks import forget_stored

pytestmark = pytest.mark.django_db
JUDGES = "/p/shop/judges/"
POINTS = {"kind": "points", "low": 1, "high": 5}
SPEC = {
    "criteria": [
        {"key": "correctness", "title": "Correctness", "definition": "Every claim is in a document.", "scale": POINTS},
        {"key": "tone", "title": "Tone", "definition": "No insult in the text.", "scale": {"kind": "boolean"}},
    ],
    "instructions": "Quote the claim you object to.",
}
HOSTILE = "<script>alert(1)</script>\u202e"


@pytest.fixture(autouse=True)
def loopback(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def owner(alice, project, sign_in):
    return sign_in(alice)


@pytest.fixture
def made(project):
    """A judge of a model, its rubric and its connection."""
    rubric = setup.save_rubric(project, SPEC, name="Answers")
    endpoint = setup.add_connection(project, name="House", kind="openai", base_url="http://127.0.0.1:9/v1")
    return setup.save_judge(
        project, slug="quality", name="Answer quality", kind="model", rubric_version_id=rubric.id,
        connection_id=endpoint.id, model="small-1",
    )  # fmt: skip


@pytest.fixture
def traces(project):
    """Three traces with a question and an answer."""
    forget_stored()
    secret = make_key(project, "Sender", ("ingest",)).secret
    call = {
        "kind": "generation", "name": "chat", "model": "gpt-4o-mini", "feature": "refunds",
        "input": [{"role": "user", "content": f"Refund for a gift card? {HOSTILE}"}],
        "output": [{"role": "assistant", "content": "Yes, within 30 days."}],
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }  # fmt: skip
    now = clock.now().isoformat()
    for _ in range(3):
        answer = Client().post(
            "/api/v1/traces", {"spans": [call | {"start": now, "end": now}]}, "application/json",
            headers={"Authorization": f"Bearer {secret}"},
        )  # fmt: skip
        assert answer.status_code == 200, answer.content


def page(client, path, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:400]
    return unescape(answer.content.decode())


def said(answer):
    return unescape(answer.content.decode())


def form(version, **more):
    typed = {
        "name": "Answer quality", "rubric": str(version.rubric_version.id), "connection": str(version.connection_id),
        "model": "small-1", "instructions": SPEC["instructions"], "max_chars": "60000", "max_output_tokens": "2000",
        "part-question": "on", "part-answer": "on", "map-question": "auto", "map-answer": "auto", "map-system": "auto",
        "map-documents": "auto", "instructions_of": str(version.rubric_version.id),
    }  # fmt: skip
    return {name: value for name, value in (typed | more).items() if value is not None}


def test_without_judges_the_page_says_what_they_are_for(owner, bob, sign_in):
    assert "Make a judge" in page(owner, JUDGES)
    assert "Engineers set them up" in page(sign_in(bob), JUDGES)
    assert "Rules, no model" in page(owner, JUDGES + "new/")


def posted_rule(at, rule):
    """A rule as its inputs send it."""
    row = row_of(rule)
    typed = {setting.name: row.text(setting) for setting in row.shape.settings}
    values = {name: text.split("\n") if name == "kinds" else text for name, text in typed.items()}
    values |= {"criterion": rule["criterion"], "kind": rule["kind"], "shown": rule["kind"]}
    return {f"r-{at}-{name}": value for name, value in values.items()}


@pytest.mark.parametrize("preset", [preset.slug for preset in JUDGE_PRESETS if preset.kind == "rule"])
def test_a_ready_judge_of_rules_is_two_clicks_away(owner, preset):
    html = page(owner, f"{JUDGES}new/?preset={preset}")
    found = next(each for each in JUDGE_PRESETS if each.slug == preset)
    assert f"New, as in “{found.name}”" in html
    rules = {}
    for at, rule in enumerate(found.config["rules"]):
        rules |= posted_rule(at, rule)

    answer = owner.post(
        JUDGES + "new/",
        {"kind": "rule", "preset": preset, "rubric": "preset", "name": found.name,
         "rules": str(len(found.config["rules"])), **rules},
    )  # fmt: skip

    assert answer.status_code == 302, said(answer)[-3000:]
    judge = Judge.objects.get()
    assert judge.kind == "rule"
    answer = owner.post(f"{JUDGES}{judge.slug}/state/", {"do": "live", "v": "1"}, follow=True)
    assert "v1 is in production." in said(answer)


@pytest.mark.parametrize("preset", [preset.slug for preset in JUDGE_PRESETS])
def test_every_ready_judge_fills_the_form(owner, preset):
    assert "Save draft" in page(owner, f"{JUDGES}new/?preset={preset}")


def test_a_judge_is_made_of_a_rubric_that_is_there(owner, project):
    setup.save_rubric(project, SPEC, name="Answers")
    version = read.get_rubric(project.pk, "answers").newest
    endpoint = setup.add_connection(project, name="House", kind="openai", base_url="http://127.0.0.1:9/v1")
    assert "Write a rubric" not in page(owner, JUDGES + "new/?kind=model")

    answer = owner.post(
        JUDGES + "new/",
        {"kind": "model", "name": "Answer quality", "rubric": str(version.id), "connection": str(endpoint.id),
         "model": "small-1", "max_chars": "5000", "max_output_tokens": "500", "part-answer": "on",
         "flag-correctness": "2", "flag-tone": "0", "mean_at_most": "2.5"},
    )  # fmt: skip

    assert answer.status_code == 302, said(answer)[-3000:]
    config = JudgeVersion.objects.get().config
    assert config["flag"] == {"criteria": {"correctness": 2.0, "tone": 0.0}, "mean_at_most": 2.5}
    assert (config["parts"], config["max_chars"]) == (["answer"], 5000)


def test_the_judge_page_shows_versions_gate_and_what_is_unproven(owner, made, project):
    html = page(owner, JUDGES + "quality/")

    assert "v1 has not been set against people yet" in html
    assert "v1 draft" in html
    assert "Quote the claim you object to." in html
    assert "Put in production, unproven" in html
    assert "No labels of people yet." in html
    assert page(owner, JUDGES + "quality/?v=2", 404)
    assert page(owner, JUDGES + "quality/?v=²", 404)


def test_production_needs_a_reason_while_unproven_and_saving_then_makes_a_draft(owner, made, project):
    refused = owner.post(JUDGES + "quality/state/", {"do": "live", "v": "1"}, follow=True)
    assert "say why it goes there unproven" in said(refused)
    assert Judge.objects.get().live_version_id is None

    owner.post(JUDGES + "quality/state/", {"do": "live", "v": "1", "reason": "a week of trial"})
    assert Judge.objects.get().live_version_id == made.id
    answer = owner.post(JUDGES + "quality/", form(made, model="large-2"), follow=True)
    assert "saved as v2; v1 was used and stays as it is" in said(answer)
    html = said(answer)
    assert "v1 live" in html
    assert "v2 draft" in html
    assert "Settings of v1" in page(owner, JUDGES + "quality/?v=1")
    assert AuditEntry.objects.get(action="judge.live").after["reason"] == "a week of trial"
    owner.post(JUDGES + "quality/state/", {"do": "discard"})
    assert JudgeVersion.objects.count() == 1


def test_instructions_and_sample_rate_are_saved_from_the_same_page(owner, made, project):
    typed = form(made, instructions="Never guess.", share="12.5", **{"flag-correctness": "2"})

    answer = owner.post(JUDGES + "quality/", typed, follow=True)

    judge = read.get_judge(project.pk, "quality")
    assert answer.status_code == 200, said(answer)[:2000]
    assert judge.newest.rubric_version.spec["instructions"] == "Never guess."
    assert judge.newest.config["flag"] == {"criteria": {"correctness": 2.0}}
    assert read.list_plans(project.pk, judge.id)[0].spec == {"kind": "random", "share": 0.125}
    assert 'value="12.5"' in said(answer)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"model": ""}, "Model: is empty"),
        ({"connection": "999"}, "Connection: is none of this project"),
        ({"rubric": "x"}, "Rubric: is none of this project"),
        ({"max_chars": "many"}, "Longest text, characters"),
        ({"max_output_tokens": "1"}, "Longest reply, tokens"),
        ({"map-question": "moon"}, "Question: must be auto"),
        ({"flag-nothing": "2"}, "is no criterion of the rubric"),
        ({"mean_at_most": "9"}, "The mean over all points is at or below"),
        ({"share": "200"}, "share: must be a share"),
        ({"model": "a\x00b\x1b"}, "holds characters that cannot be seen"),
    ],
)
def test_what_cannot_be_comes_back_with_what_was_typed(owner, made, more, words):
    answer = owner.post(JUDGES + "quality/", form(made, **more))

    assert answer.status_code == 400
    assert words in said(answer)


def test_hostile_names_are_text(owner, project):
    spec = {
        "criteria": [{"key": "a", "title": HOSTILE, "definition": HOSTILE, "scale": POINTS}], "instructions": HOSTILE
    }  # fmt: skip
    rubric = setup.save_rubric(project, spec, name="<b>Answers</b>")
    setup.save_judge(project, slug="odd", name="<b>Odd</b>", kind="person", rubric_version_id=rubric.id)

    rubrics = "/p/shop/rubrics/"
    for path in (JUDGES, JUDGES + "odd/", rubrics, f"{rubrics}{rubric.slug}/", JUDGES + "new/?kind=person"):
        raw = owner.get(path).content.decode()
        assert "<script>alert" not in raw
        assert "<b>Odd" not in raw
        assert "<b>Answers" not in raw


def test_a_judge_is_paused_put_away_and_taken_back(owner, made, project):
    setup.make_live(project, "quality", reason="x")
    steps = (
        ("pause", "paused; what is drawn waits"),
        ("resume", "goes on"),
        ("down", "out of production"),
        ("archive", "put away; its scores stay"),
        ("restore", "is back"),
        ("fly", "There is no such step"),
    )
    for step, words in steps:
        assert words in said(owner.post(JUDGES + "quality/state/", {"do": step}, follow=True)), step


def test_trying_rules_on_traces_shows_what_comes_of_each(owner, project, traces, monkeypatch):
    monkeypatch.setattr(preflights, "wake", lambda task: None)
    brief = {"key": "brief", "title": "Brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    rubric = setup.save_rubric(project, {"criteria": [brief]}, name="Format")
    typed = {
        "kind": "rule", "name": "Format", "rubric": str(rubric.id), "rules": "1", "do": "try",
    } | posted_rule(0, {"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20})  # fmt: skip

    answer = owner.post(JUDGES + "new/", typed, follow=True)
    assert "Waiting for a worker" in said(answer)
    assert Judge.objects.count() == 0
    work.run_next()

    html = page(owner, answer.request["PATH_INFO"])
    assert "Tried on 3 traces" in html
    assert "Refund for a gift card?" in html
    assert "<script>alert" not in owner.get(answer.request["PATH_INFO"]).content.decode()
    assert html.count("Scored") == 3


def test_a_plan_is_estimated_before_it_is_saved(owner, made, project, traces):
    typed = {"kind": "random", "share": "50", "signal_share": "100", "rest": "5", "other": "5", "by": "feature"}

    html = said(owner.post(JUDGES + "quality/plan/", typed | {"do": "estimate"}))
    assert "About 2 judgements a day, price unknown" in html
    assert "Nothing is saved yet." in html
    assert read.list_plans(project.pk, made.judge_id) == []

    strata = typed | {
        "kind": "strata", "shares": "refunds: 30\nsearch: 2.5", "filter": "environment: production\ncost_usd >= 0.01",
    }  # fmt: skip
    answer = owner.post(JUDGES + "quality/plan/", strata, follow=True)
    assert "Plan 1 is saved" in said(answer)
    plan = read.list_plans(project.pk, made.judge_id)[0]
    assert plan.spec["shares"] == {"refunds": 0.3, "search": 0.025}
    assert plan.spec["filter"] == {"environment": ["production"], "cost_usd": {"from": 0.01}}
    again = page(owner, JUDGES + "quality/plan/")
    assert "cost_usd >= 0.01" in again
    owner.post(JUDGES + "quality/plan/end/")
    assert "Nothing is drawn for Answer quality" in page(owner, JUDGES + "quality/plan/")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"share": "0.01"}, "Share: must be a share"),
        ({"share": "lots"}, "Share: is no number"),
        ({"kind": "x"}, "Which traces: must be one"),
        ({"kind": "errors", "rest": "5"}, "must be a list with at least one"),
        ({"kind": "strata", "shares": "refunds 30"}, "Shares: must be one a line"),
        ({"filter": "colour: red"}, "is no column"),
        ({"valid_from": "soon"}, "From: is no time"),
        ({"valid_from": "2020-01-01"}, "From: has passed"),
        ({"filter": "feature: a\x00"}, ""),
    ],
)
def test_a_plan_that_cannot_be_names_its_input(owner, made, more, words):
    typed = {"kind": "random", "share": "5", "signal_share": "100", "rest": "5", "other": "5", "by": "feature"}

    answer = owner.post(JUDGES + "quality/plan/", typed | more)

    assert answer.status_code in ({400} if words else {302, 400})
    assert words in said(answer)


def test_runs_add_up_and_can_be_had_as_a_file(owner, made, project, traces):
    ids = [uuid4() for _ in range(60)]
    version = JudgeVersion.objects.get()
    queue(project.pk, version, [Target(each, clock.now(), pi=0.5, feature="=cmd") for each in ids], Purpose.LIVE)

    html = page(owner, JUDGES + "quality/runs/")
    assert "60 judgements in the last 24 hours" in html
    assert "of 60 made" in html
    older = html.split('rel="next" href="')[1].split('"')[0]
    assert page(owner, JUDGES + "quality/runs/" + older).count('<th scope="row" class="mono nowrap">') == 10
    assert "No judgement is so." in page(owner, JUDGES + "quality/runs/?state=scored")
    answer = owner.get(JUDGES + "quality/runs/?format=csv")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert len(lines) == 61
    assert ",'=cmd," in lines[1]
    for odd in ("?before=x", "?state=<b>", "?reason=%00", "?t=9y", "?before=99999999999999999999"):
        assert owner.get(JUDGES + "quality/runs/" + odd).status_code == 200


def test_a_backfill_is_priced_started_paused_and_cancelled(owner, project, traces):
    brief = {"key": "brief", "title": "Brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    rubric = setup.save_rubric(project, {"criteria": [brief]}, name="Format")
    rules = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}
    setup.save_judge(project, slug="format", name="Format", kind="rule", rubric_version_id=rubric.id, config=rules)
    here = JUDGES + "format/backfill/"
    assert "No backfill yet" in page(owner, here)

    typed = {"version": "1", "query": "t=7d", "share": "100"}
    html = said(owner.post(here, typed | {"do": "estimate"}))
    assert "3 traces match; about 3 would be judged, free of charge" in html
    assert not Backfill.objects.exists()
    answer = owner.post(here, typed | {"do": "start"}, follow=True)
    assert "of 3 traces looked at" in said(answer)
    one = f"{here}{Backfill.objects.get().pk}/"
    steps = (("pause", "Paused."), ("resume", "It goes on."), ("cancel", "Cancelled."), ("pause", "does not run"))
    for step, words in steps:
        assert words in said(owner.post(one, {"do": step}, follow=True))
    assert "Cancelled" in page(owner, here)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"version": "7"}, "Version: is none of this judge"),
        ({"share": ""}, "Of these, at random: is empty"),
        ({"share": "1000"}, "must be a share of the traces"),
        ({"query": "t=bogus"}, "Which traces"),
        ({"query": "t=7d&" + "a" * 5000}, "Which traces"),
    ],
)
def test_a_backfill_that_cannot_be_names_its_input(owner, made, more, words):
    answer = owner.post(JUDGES + "quality/backfill/", {"version": "1", "query": "t=7d", "share": "100"} | more)

    assert answer.status_code == 400
    assert words in said(answer)


def test_limits_of_the_project(owner, bob, sign_in, project):
    here = "/p/shop/settings/evaluation/"
    assert 'value="5"' in page(owner, here)

    owner.post(here, {"budget_usd_day": "12.50", "budget_calls_day": "1000", "settle_seconds": "60"})
    held = read.settings_for(project.pk)
    assert (held.budget_pico_day, held.budget_calls_day, held.settle_seconds) == (12_500_000_000_000, 1000, 60)
    assert "Save limits" not in page(sign_in(bob), here)
    bad = owner.post(here, {"budget_usd_day": "-1", "budget_calls_day": "", "settle_seconds": "60"})
    assert (bad.status_code, "out of range" in said(bad)) == (400, True)


def test_roles_and_strangers(made, bob, charlie, sign_in, project):
    looker, stranger = sign_in(bob), sign_in(charlie)
    for path in ("", "quality/", "quality/runs/", "quality/plan/", "quality/backfill/"):
        assert looker.get(JUDGES + path).status_code == 200
        assert stranger.get(JUDGES + path).status_code == 404
        assert stranger.get(f"/p/far/judges/{path}").status_code == (200 if not path else 404)
    for path in ("quality/", "quality/state/", "quality/plan/", "quality/plan/end/", "quality/backfill/", "new/"):
        assert looker.post(JUDGES + path, {"do": "live"}).status_code == 403
        assert stranger.post(JUDGES + path, {"do": "live"}).status_code == 404
    assert "Save" not in page(looker, JUDGES + "quality/").split("<main")[1]
    ProjectMember.objects.filter(user=bob).update(role="engineer")
    assert looker.post(JUDGES + "quality/state/", {"do": "pause"}).status_code == 302


@pytest.mark.parametrize("path", ["", "quality/", "quality/runs/", "quality/plan/", "quality/backfill/"])
def test_pages_ask_the_same_number_of_questions_however_much_there_is(owner, made, project, path):
    def count():
        with CaptureQueriesContext(database) as asked:
            page(owner, JUDGES + path)
        return len(asked)

    setup.set_plan(project, "quality", {"kind": "all"})
    count()
    few = count()
    for n in range(4):
        setup.make_live(project, "quality", reason="x")
        setup.save_rubric(project, SPEC | {"instructions": f"Be brief, {n}."}, slug="answers")
        by = {"rubric_version_id": made.rubric_version.id}
        setup.save_judge(project, slug="quality", connection_id=made.connection_id, model=f"m-{n}", **by)
        setup.save_judge(project, slug=f"j-{n}", name=f"Judge {n}", kind="person", **by)
        setup.set_plan(project, "quality", {"kind": "random", "share": 0.1 + n / 10})

    assert count() <= few + 1


def test_the_gate_says_which_criterion_it_is_about(owner, project):
    rubric = calibration_rows.make_rubric(project, calibration_rows.spec("tone", "detail"))
    version = calibration_rows.make_version(project, rubric)
    view = read.get_judge_version(project.pk, version.pk)
    for criterion in view.rubric_version.rubric.criteria:
        pairs = [(1, 1)] * 40 + [(5, 5 if criterion.key == "tone" else 1)] * 40
        calibration_rows.add_pairs(project, version, pairs, name=criterion.key, at=clock.now() - timedelta(days=1))
        calibrating.calibrate(project.pk, view, criterion)

    first = unescape(owner.get("/p/shop/judges/quality/").content.decode())
    other = unescape(owner.get("/p/shop/judges/quality/?v=1&criterion=detail").content.decode())

    assert "Gate to production: Tone" in first
    assert "Tone, calibrated on 80 answers" in first
    assert 'href="?v=1&criterion=detail#gate"' in first
    assert "Gate to production: Detail" in other
