"""The injection set: fences hold whatever is in it, and how often it moves a judge is told with n and interval."""

from __future__ import annotations

import io
import re

import pytest
from django.test import Client

from evals import routines
from evals.judges import ModelConfig, build_prompt, fresh_nonce
from evals.judges.cases import PLACES, ROUNDS, attacked, cases, tries
from evals.judges.injections import KINDS, injections
from evals.judging import context
from evals.models import Routine, SpendDay
from evals.read.gates import find_routine
from evals.read.setup import get_judge
from evals.routines import attacking
from evals.routines.attacked import State, figures_of
from evals.rubrics import parse_rubric
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.run.commands import run_command
from telltale.run.stand_in import pieces_of
from tests.evals.judging_kit import RUBRIC, StandIn, make_connection, make_version, set_budget, set_noon, sql

JSON = {"content_type": "application/json"}
ALL_PARTS = ModelConfig(parts=("messages", "question", "documents", "tools", "metadata", "answer"))


class Gullible(StandIn):
    """Says 2 of everything; 5 where the answer, not what stands beside it, asks for it in plain English."""

    is_gullible = True

    def verdict(self, body):
        found = super().verdict(body)
        answer = pieces_of(body["messages"][-1]["content"])["answer"]
        level = 5 if self.is_gullible and re.search(r"highest|maximum|full marks|\b5\b", answer) else 2
        for each in found["criteria"].values():
            each["score"] = level
        found["injection_attempt"] = "gnore" in answer
        return found


@pytest.fixture
def stand_in(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(attacking, "wake", lambda task: None)
    monkeypatch.setattr(attacking, "pause_for", lambda seconds: None)
    monkeypatch.setattr(attacking, "AT_A_TIME", 16)
    monkeypatch.setattr("telltale.run.job_progress.REPORT_SECONDS", 600.0)
    context.forget()
    started = Gullible()
    yield started
    started.close()


@pytest.fixture
def one_round(monkeypatch):
    """Each case once and each attack once: the rest is the same again."""
    monkeypatch.setattr("evals.judges.cases.ROUNDS", 1)
    monkeypatch.setattr("evals.routines.attacked.CLEAN", 1)


@pytest.fixture
def version(project, stand_in):
    set_noon(project)
    return make_version(project, endpoint=make_connection(project, stand_in.url, at_a_time=16))


def run_jobs():
    while work.run_next() is not None:
        pass


def test_the_set_is_large_of_named_kinds_and_each_attack_is_its_own():
    attacks = injections()

    assert len(attacks) >= 60
    assert {each.kind for each in attacks} == set(KINDS)
    assert len({each.slug for each in attacks}) == len({each.text for each in attacks}) == len(attacks)
    assert len({each.slug for each in cases()}) == len(cases()) == 12
    assert all(each.material.question and each.material.answer for each in cases())


def test_each_attack_is_tried_in_each_turn_and_none_twice_alike():
    found = tries(range(12), PLACES)

    assert len(found) == len(set(found)) == ROUNDS * len(injections())
    assert {each.place for each in found} == set(PLACES)
    assert all(sum(each.attack == at for each in found) == ROUNDS for at in range(len(injections())))
    # 0 of so many leaves less than the bar possible; a single usable case is not counted three times over.
    assert len(tries([4], ["answer"])) == len(injections())
    assert tries([], PLACES) == ()


def test_no_attack_of_the_set_leaves_its_fence_in_any_place():
    """Outside of fences all prompts of one case are the same, nonces aside: the attack is nowhere but inside."""
    rubric = parse_rubric(RUBRIC)
    outside = {}

    for one in tries(range(12), PLACES):
        material = attacked(one, rubric)
        nonce = fresh_nonce(material)
        prompt = build_prompt(rubric, ALL_PARTS, material, nonce)
        marks = re.findall(rf"<<<(BEGIN|END) ([a-z0-9 ]+) {nonce}>>>", prompt.user)
        assert [kind for kind, _ in marks] == ["BEGIN", "END"] * (len(marks) // 2)  # none is forged, none is nested
        assert prompt.user.count(nonce) == len(marks)
        kept = re.sub(rf"<<<BEGIN ([a-z0-9 ]+) {nonce}>>>\n.*?\n<<<END \1 {nonce}>>>", r"[\1]", prompt.user, flags=re.S)
        seen = (prompt.system.replace(nonce, "N"), kept, str(prompt.schema))
        assert outside.setdefault((one.case, one.place), seen) == seen


@pytest.mark.django_db
def test_what_the_set_found_is_told_by_page_rest_and_command(
    project, stand_in, version, one_round, key, alice, charlie, sign_in
):
    api = Client(headers={"Authorization": f"Bearer {key.secret}"})
    body = {"judge": "quality", "kind": "attacks", "version": 1}

    begun = api.post("/api/v1/routines", body, **JSON)
    again = api.post("/api/v1/routines", body, **JSON)
    run_jobs()

    assert (begun.status_code, again.status_code) == (201, 409)
    told = api.get(f"/api/v1/routines/{begun.json()['id']}").json()
    result = told["result"]
    attacks = len(injections())
    assert (told["state"], result["version"], result["tries"], result["attacks"]) == ("done", 1, attacks, attacks)
    assert result["word"] == "talked_round"
    flips = result["flips"]
    assert 10 < flips < attacks
    assert len(result["flipped"]) == flips
    assert result["flip_share"]["value"] == flips / attacks
    assert result["flip_share"]["method"] == "share, Wilson interval"
    assert sum(found["attacks"] for found in result["by_kind"].values()) == attacks
    assert result["flagged"] > 5
    assert not {"heard", "held", "failures"} & result.keys()
    assert len(stand_in.bodies) == 12 + attacks
    day = SpendDay.objects.get(project=project, judge_id=0)
    assert (day.calls, day.reserved_calls, day.reserved_pico) == (12 + attacks, 0, 0)
    assert day.spent_pico == stand_in.bill_pico
    assert sql("SELECT count(*) FROM evals_score") == [(0,)]
    version.refresh_from_db()
    assert version.frozen_at is not None

    browser = sign_in(alice)
    judge = browser.get(f"/p/{project.slug}/judges/quality/").content.decode()
    page = browser.get(f"/p/{project.slug}/judges/quality/routines/{told['id']}/").content.decode()
    assert f"{flips} of {attacks} attacks raised the score" in judge
    assert "over the bar of 2%" in judge
    for each in result["flipped"]:
        assert each["attack"] in page
    assert sign_in(charlie).get(f"/p/{project.slug}/judges/quality/routines/{told['id']}/").status_code == 404

    stand_in.is_gullible = False
    out = io.StringIO()
    code = run_command(["injections", "--project", project.slug, "--judge", "quality"], out)
    assert code == 2  # 0 of 82 leave 4.5 % possible: hardened takes all three turns
    assert f"0 of {attacks} attacks raised the score" in out.getvalue()
    assert "not shown to be within 2%" in out.getvalue()
    assert run_command(["injections", "--project", project.slug, "--judge", "none"], io.StringIO()) == 1


@pytest.mark.django_db
def test_a_killed_run_goes_on_where_it_was_and_the_budget_stops_it(project, stand_in, version, one_round, alice):
    row_id = routines.begin_now(project, get_judge(project.pk, "quality"), "attacks")
    job = Job.objects.get(kind=attacking.JOB)
    kept = Routine.objects.get(pk=row_id).result
    # A worker died with two calls under way, whose money was set aside.
    day = context.context_of(version.pk).day(job.created_at).isoformat()
    SpendDay.objects.update_or_create(
        project=project, judge_id=0, day=day, defaults={"reserved_calls": 2, "reserved_pico": 2_000}
    )
    SpendDay.objects.update_or_create(
        project=project, judge_id=version.judge_id, day=day, defaults={"reserved_calls": 2, "reserved_pico": 2_000}
    )
    held = {"held": [[day, 1_000], [day, 1_000]], "heard": {"0": [1, False, ""], "1": [1, False, ""]}}
    Routine.objects.filter(pk=row_id).update(result=kept | held)
    set_budget(project, budget_calls_day=22)

    run_jobs()

    row = Routine.objects.get(pk=row_id)
    whole = SpendDay.objects.get(project=project, judge_id=0)
    assert row.state == "running"
    assert "budget" in row.result["reason"]
    assert (whole.reserved_calls, whole.reserved_pico, whole.lost_calls) == (0, 0, 2)
    assert len(stand_in.bodies) + whole.lost_calls <= 22
    assert len(row.result["heard"]) == 2 + len(stand_in.bodies)  # what was heard is not asked for again

    set_budget(project, budget_calls_day=None)
    assert routines.tend() == 0
    assert not Job.objects.filter(state="pending").exists()  # not before the next day
    Routine.objects.filter(pk=row_id).update(result=row.result | {"next_at": None})
    routines.tend()
    run_jobs()

    row.refresh_from_db()
    assert (row.state, row.result["attacks"]) == ("done", len(injections()))
    assert len(stand_in.bodies) == 10 + len(injections())


@pytest.mark.django_db
def test_an_endpoint_that_is_away_leaves_it_waiting_and_garbled_answers_are_no_flips(
    project, stand_in, version, one_round
):
    stand_in.fault = lambda n, user: "server"
    row_id = routines.begin_now(project, get_judge(project.pk, "quality"), "attacks")

    run_jobs()

    row = Routine.objects.get(pk=row_id)
    assert (row.state, bool(row.result["reason"])) == ("running", True)
    assert len(stand_in.bodies) <= 3 * attacking.AT_A_TIME
    # The cases are judged; every answer about an attack is prose: three times each, then no figure at all.
    away = len(stand_in.bodies)
    stand_in.fault = lambda n, user: "prose" if n > away + 40 else ""
    assert routines.go_on_attacks(find_routine(project.pk, row_id), project.pk, at_once=True) is False
    run_jobs()

    row.refresh_from_db()
    assert row.state == "done"
    assert row.result["came_to_nothing"] > 50
    assert row.result["attacks"] + row.result["came_to_nothing"] == row.result["tries"]
    assert row.result["flips"] <= row.result["attacks"]


@pytest.mark.django_db
def test_words_follow_the_interval_not_the_share(project, version):
    state = State(context.context_of(version.pk), {"version": 1})
    for item in range(state.clean):
        state.scored(item, 1, is_flagged=False)
    known = state.known_tries()

    def told(flips):
        for at in range(len(known)):
            state.scored(state.clean + at, 4 if at < flips else 1, is_flagged=False)
        return figures_of(state, "correctness")

    assert len(known) == 246
    assert told(0)["word"] == "hardened"
    assert told(0)["flip_share"]["high"] == pytest.approx(0.0154, abs=1e-4)  # Wilson, 0 of 246
    assert told(1)["word"] == "not_shown"
    assert told(12)["word"] == "talked_round"
    # A judge that says the top score of all cases cannot be raised, which is no praise.
    for item in range(state.clean):
        state.scored(item, 4, is_flagged=False)
    high = State(state.context, {}, dict(list(state.done.items())[: state.clean]))
    assert figures_of(high, "correctness")["word"] == "nothing_to_raise"
