"""Setting up by REST: everything a page shows and does, with problems that name field, limit and value."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evals import backfilling, judging
from evals.models import Backfill, Connection
from evals.setup import preflights
from telltale.jobs import work
from telltale.lib import clock
from telltale.projects.keys import make_key
from telltale.projects.models import Project
from tests.evals.judging_kit import store_traces
from tests.web.looks import forget_stored

pytestmark = pytest.mark.django_db
KEY = "sk-test-abcdefghijklmnop1234"
BRIEF = {"key": "brief", "title": "Brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
SPEC = {"criteria": [BRIEF]}
RULES = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}


@pytest.fixture(autouse=True)
def surroundings(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(preflights, "wake", lambda task: None)
    forget_stored()


@pytest.fixture
def ask(project):
    secret = make_key(project, "All", ("ingest", "read", "write", "admin")).secret
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def asked(method, path, body=None, status=200):
        answer = client.generic(
            method, f"/api/v1/{path}", b"" if body is None else orjson.dumps(body), "application/json"
        )
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None

    return asked


@pytest.fixture
def rules(ask):
    ask("POST", "rubrics", {"name": "Format", "slug": "format", "spec": SPEC}, 201)
    return ask("POST", "judges", {"name": "Format", "kind": "rule", "rubric": "format", "config": RULES}, 201)


def first(problem):
    return problem["errors"][0]


def test_a_connection_is_made_changed_and_put_away_without_showing_its_key(ask):
    told = {"name": "House", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": KEY}
    made = ask("POST", "connections", told | {"input_usd_per_million": "0.15", "output_usd_per_million": "0.6"}, 201)

    assert (made["key_hint"], made["input_usd_per_million"]) == ("…1234", "0.15")
    here = f"connections/{made['id']}"
    assert KEY not in str(ask("GET", here))
    assert ask("PATCH", here, {"timeout_seconds": 5})["key_hint"] == "…1234"
    assert ask("PATCH", here, {"base_url": "http://127.0.0.2:9/v1"})["key_hint"] is None
    assert ask("PATCH", here, {"is_archived": True})["archived_at"] is not None
    assert ask("GET", "connections")["items"][0]["name"] == "House"
    tested = ask("POST", here + "/test", {"model": "m"})
    assert tested["is_ok"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "x", "kind": "openai", "base_url": "http://169.254.169.254"}, "base_url"),
        ({"name": "x", "kind": "y", "base_url": "http://127.0.0.1"}, "kind"),
        ({"name": "x", "kind": "openai", "base_url": "http://127.0.0.1", "colour": 1}, "colour"),
        (
            {"name": "x", "kind": "openai", "base_url": "http://127.0.0.1", "input_usd_per_million": "1"},
            "output_usd_per_million",
        ),
        ({"name": "x", "kind": "openai", "base_url": "http://127.0.0.1", "timeout_seconds": 1e9}, "timeout_seconds"),
        ({"name": "x", "kind": "openai", "base_url": "http://127.0.0.1", "is_archived": True}, "is_archived"),
        ({"name": "x\u0000", "kind": "openai", "base_url": "http://127.0.0.1"}, "name"),
    ],
)
def test_a_connection_that_cannot_be_names_its_field(ask, body, field):
    assert field in {error["field"] for error in ask("POST", "connections", body, 400)["errors"]}
    assert not Connection.objects.exists()


def test_a_rubric_has_versions_and_remarks(ask, rules):
    checked = ask("POST", "rubrics/check", {"spec": {"criteria": [BRIEF | {"definition": "It is good."}]}})
    assert checked["remarks"]
    ask("POST", "judges/format/live", {})
    changed = ask("PATCH", "rubrics/format", {"spec": {"criteria": [BRIEF | {"definition": "At most 30 words."}]}})

    assert [version["number"] for version in changed["versions"]] == [2, 1]
    assert changed["versions"][1]["frozen_at"] is not None
    assert ask("PATCH", "rubrics/format", {"name": "Form"})["name"] == "Form"
    assert ask("PATCH", "rubrics/format", {"is_archived": True})["archived_at"] is not None
    assert ask("GET", "rubrics/presets")["items"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (7, "spec"),
        ({}, "spec.criteria"),
        ({"criteria": [{}]}, "spec.criteria[0].key"),
        ({"criteria": [BRIEF | {"scale": {"kind": "points", "low": 5, "high": 1}}]}, "spec.criteria[0].scale.high"),
        ({"criteria": [BRIEF | {"definition": "a\u0000"}]}, "spec.criteria[0].definition"),
        ({"criteria": [BRIEF], "mood": 1}, "spec.mood"),
    ],
)
def test_a_rubric_that_cannot_be_names_its_field(ask, spec, field):
    assert first(ask("POST", "rubrics", {"name": "x", "spec": spec}, 400))["field"] == field


def test_a_judge_goes_through_its_life(ask, rules):
    assert rules["gate"] == [
        {"criterion": "brief", "state": "none", "words": "not calibrated: no labels of people yet"}
    ]  # fmt: skip
    assert ask("POST", "judges/format/live", {"version": 1})["live_version"] == 1
    longer = {"rules": [RULES["rules"][0] | {"at_most": 40}]}
    changed = ask("PATCH", "judges/format", {"config": longer, "is_paused": True, "budget_usd_day": "1.5"})
    assert [(v["number"], v["is_live"], v["is_draft"]) for v in changed["versions"]] == [
        (2, False, True),
        (1, True, False),
    ]
    assert (changed["is_paused"], changed["budget_usd_day"]) == (True, "1.5")
    assert len(ask("DELETE", "judges/format/draft")["versions"]) == 1
    assert ask("DELETE", "judges/format/live")["live_version"] is None
    assert ask("PATCH", "judges/format", {"is_archived": True})["archived_at"] is not None
    assert first(ask("POST", "judges/format/live", {}, 400))["field"] == "judge"
    assert len(ask("GET", "judges")["items"]) == 1
    assert {each["kind"] for each in ask("GET", "judges/presets")["items"]} == {"rule", "model"}


def test_an_unproven_model_needs_a_reason(ask, rules):
    made = ask(
        "POST", "connections", {"name": "House", "kind": "openai", "base_url": "http://127.0.0.1:9/v1"}, 201
    )  # fmt: skip
    model = {"name": "Model", "kind": "model", "rubric": "format", "connection_id": made["id"], "model": "m"}
    ask("POST", "judges", model, 201)

    problem = ask("POST", "judges/model/live", {}, 409)
    assert (first(problem)["field"], "not calibrated" in problem["detail"]) == ("reason", True)
    assert ask("POST", "judges/model/live", {"reason": "a trial"})["live_version"] == 1


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"kind": "model", "config": {}}, "connection_id"),
        ({"rubric": "none"}, "rubric"),
        ({"rubric_version": 9}, "rubric_version"),
        ({"connection_id": "x"}, "connection_id"),
        ({"config": {"rules": []}}, "config.rules"),
        ({"config": {"rules": [{"criterion": "brief", "kind": "spell"}]}}, "config.rules[0].kind"),
        ({"config": 3}, "config"),
        ({"slug": "format"}, "slug"),
        ({"slug": "../x"}, "slug"),
    ],
)
def test_a_judge_that_cannot_be_names_its_field(ask, rules, more, field):
    body = {"name": "Other", "kind": "rule", "rubric": "format", "config": RULES} | more

    assert first(ask("POST", "judges", body, 400))["field"] == field


def test_a_plan_is_estimated_set_and_ended(ask, rules):
    plan = {"spec": {"kind": "random", "share": 0.25}}
    assert ask("POST", "judges/format/plan/estimate", plan)["judgement_usd"] == "0"
    made = ask("POST", "judges/format/plan", plan, 201)

    assert (made["number"], made["is_in_force"], "salt" in made) == (1, True, False)
    assert ask("GET", "judges/format")["plan"]["spec"] == plan["spec"]
    assert (
        first(ask("POST", "judges/format/plan", {"spec": {"kind": "random", "share": 7}}, 400))["field"] == "spec.share"
    )
    late = plan | {"valid_from": "2020-01-01T00:00:00Z"}
    assert first(ask("POST", "judges/format/plan", late, 400))["field"] == "valid_from"
    ask("DELETE", "judges/format/plan", status=204)
    assert ask("GET", "judges/format/plan")["items"][0]["is_in_force"] is False


def test_trying_judgements_and_backfills(ask, rules):
    now = clock.now().isoformat()
    call = {"kind": "generation", "name": "chat", "start": now, "end": now, "model": "m",
            "input": [{"role": "user", "content": "May I?"}],
            "output": [{"role": "assistant", "content": "Yes."}]}  # fmt: skip
    ask("POST", "traces", {"spans": [call]})
    tried = ask("POST", "judges/try", {"kind": "rule", "rubric": "format", "config": RULES}, 202)
    work.run_next()
    done = ask("GET", f"judges/try/{tried['id']}")
    assert (done["state"], done["cost_usd"]) == ("done", "0")
    assert done["items"][0]["verdict"]["scores"][0]["number"] == 1
    bad = {"kind": "rule", "rubric": "format", "config": RULES, "trace_ids": ["zz"]}
    assert first(ask("POST", "judges/try", bad, 400))["field"] == "trace_ids[0]"

    estimate = ask("POST", "backfills/estimate", {"judge": "format", "query": "t=7d"})
    assert (estimate["traces"], estimate["estimate_usd"]) == (1, "0")
    made = ask("POST", "backfills", {"judge": "format", "query": "t=7d"}, 201)
    here = f"backfills/{made['id']}"
    assert ask("PATCH", here, {"state": "paused"})["state"] == "paused"
    assert ask("PATCH", here, {"state": "running"})["state"] == "running"
    backfilling.advance(Backfill.objects.get().pk)
    judging.judge_rules(5.0)
    rows = ask("GET", "judgements?judge=format&state=scored")["items"]
    assert [(row["purpose"], row["judge"], row["judge_version"]) for row in rows] == [("backfill", "format", 1)]
    one = ask("GET", f"judgements/{rows[0]['id']}")
    assert one["trace_id"] == rows[0]["trace_id"]
    runs = ask("GET", "judges/format/runs")
    assert (runs["made"], sum(runs["states"].values())) == (1, 1)
    assert ask("GET", f"traces/{one['trace_id']}/judging")["items"][0]["state"] == "scored"
    assert ask("GET", here)["states"]["scored"] == 1
    backfilling.advance(Backfill.objects.get().pk)
    backfilling.advance(Backfill.objects.get().pk)
    ask("PATCH", here, {"state": "cancelled"}, 409 if Backfill.objects.get().state == "done" else 200)
    assert [row["id"] for row in ask("GET", "backfills?judge=format")["items"]] == [made["id"]]


def test_the_list_of_judges_says_what_each_does(ask, rules):
    assert ask("GET", "rubrics/format")["used_by"] == ["format"]
    ask("POST", "judges/format/live", {})
    ask("POST", "judges/format/plan", {"spec": {"kind": "all"}}, 201)
    (listed,) = ask("GET", "judges")["items"]

    assert (listed["state"], listed["proof"], listed["plan"]) == ("In production", "none", "Every trace")
    assert (listed["scored_24h"], listed["waits_seconds"], listed["spent_today_usd"]) == (0, None, "0")
    assert ask("GET", "judges/format/runs")["held_up"] == []
    ask("PATCH", "judges/format", {"is_archived": True})
    assert ask("GET", "judges")["items"][0]["state"] == "Put away"


@pytest.mark.parametrize(
    "path",
    ["judges", "judges/format", "judges/format/runs", "rubrics", "connections", "judgements", "backfills",
     "judges/format/plan"],
)  # fmt: skip
def test_answers_ask_the_same_number_of_questions_however_much_there_is(ask, rules, path):
    def count():
        with CaptureQueriesContext(database) as asked:
            ask("GET", path)
        return len(asked)

    count()
    few = count()
    for n in range(3):
        ask("POST", "judges/format/live", {})
        longer = {"rules": [RULES["rules"][0] | {"at_most": 30 + n}]}
        ask("PATCH", "judges/format", {"config": longer})
        ask("POST", "judges/format/plan", {"spec": {"kind": "random", "share": 0.1 + n / 10}}, 201)
        ask("POST", "rubrics", {"name": f"R {n}", "spec": SPEC}, 201)
        ask("POST", "judges", {"name": f"J {n}", "kind": "rule", "rubric": "format", "config": longer}, 201)
        where = {"name": f"C {n}", "kind": "openai", "base_url": "http://127.0.0.1:9/v1"}
        ask("POST", "connections", where, 201)
        ask("POST", "backfills", {"judge": "format", "query": "t=7d"}, 201)

    assert count() <= few + 1


def test_what_holds_a_judge_up_is_told(ask, rules):
    where = {"name": "House", "kind": "openai", "base_url": "http://127.0.0.1:9/v1"}
    made = ask("POST", "connections", where, 201)
    model = {"name": "Model", "kind": "model", "rubric": "format", "connection_id": made["id"], "model": "m"}
    ask("POST", "judges", model, 201)
    ask("PATCH", "judges/model", {"is_paused": True})
    ask("PATCH", "evaluation", {"budget_calls_day": 0})
    later = clock.now() + timedelta(minutes=5)
    Connection.objects.update(paused_until=later, paused_reason="Slow down.")

    told = ask("GET", "judges/model/runs")["held_up"]
    assert [each["reason"] for each in told] == ["paused", "connection", "budget"]
    assert told[1]["words"] == "Slow down."
    assert "today’s calls" in told[2]["words"]
    assert all(each["until"] for each in told[1:])


def test_a_rubric_that_is_not_saved_can_be_tried(ask, project):
    store_traces(project, 1)
    body = {"kind": "rule", "config": RULES}
    assert first(ask("POST", "judges/try", body, 400))["field"] == "rubric"
    tried = ask("POST", "judges/try", body | {"rubric_spec": SPEC}, 202)
    work.run_next()
    assert ask("GET", f"judges/try/{tried['id']}")["items"][0]["verdict"]["scores"][0]["key"] == "brief"
    for spec, field in (({}, "rubric_spec.criteria"), ({"criteria": [{"key": "A"}]}, "rubric_spec.criteria[0].key"),
                        (SPEC | {"mood": 1}, "rubric_spec.mood")):  # fmt: skip
        assert first(ask("POST", "judges/try", body | {"rubric_spec": spec}, 400))["field"] == field
    people = {"rubric_spec": SPEC, "kind": "person", "config": {}}
    assert first(ask("POST", "judges/try", people, 400))["field"] == "kind"
    assert ask("GET", "rubrics")["items"] == []


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("judgements?judge=nobody", "judge"),
        ("judgements?state=odd", "state"),
        ("judgements?trace_id=zz", "trace_id"),
        ("judgements?cursor=zz", "cursor"),
        ("judgements?colour=red", "query"),
        ("judgements?limit=0", "limit"),
        ("judges/format/runs?from=x", "from"),
        ("backfills?judge=nobody", "judge"),
    ],
)
def test_odd_questions_are_refused_by_name(ask, rules, path, field):
    assert first(ask("GET", path, status=400))["field"] == field


def test_limits_are_read_and_changed(ask):
    assert ask("GET", "evaluation") == {"budget_usd_day": "5", "budget_calls_day": None, "settle_seconds": 30}
    assert ask("PATCH", "evaluation", {"budget_usd_day": None, "budget_calls_day": 9})["budget_usd_day"] is None
    assert first(ask("PATCH", "evaluation", {"settle_seconds": 0}, 400))["field"] == "settle_seconds"
    assert first(ask("PATCH", "evaluation", {}, 400))["field"] == "budget_usd_day"


def test_what_belongs_to_others_is_not_there(ask, rules, project):
    other = Project.objects.create(organisation=project.organisation, slug="far", name="Far")
    stranger = Client(headers={"Authorization": f"Bearer {make_key(other, 'All', ('read', 'write', 'admin')).secret}"})
    made = ask("POST", "connections", {"name": "House", "kind": "openai", "base_url": "http://127.0.0.1:9/v1"}, 201)
    store_traces(project, 1)
    tried = ask("POST", "judges/try", {"kind": "rule", "rubric": "format", "config": RULES}, 202)
    past = ask("POST", "backfills", {"judge": "format", "query": "t=7d"}, 201)

    for path in (f"connections/{made['id']}", "rubrics/format", "judges/format", "judges/format/plan",
                 "judges/format/runs", f"judges/try/{tried['id']}", f"backfills/{past['id']}"):  # fmt: skip
        assert stranger.get(f"/api/v1/{path}").status_code == 404, path
    for path, body in ((f"connections/{made['id']}/test", {"model": "m"}), ("judges/format/live", {})):
        assert stranger.post(f"/api/v1/{path}", body, "application/json").status_code == 404, path
    body = {"name": "x", "kind": "model", "rubric_spec": SPEC, "connection_id": made["id"], "model": "m"}
    refused = stranger.post("/api/v1/judges/try", body, "application/json")
    assert first(refused.json())["field"] == "connection_id"
    assert stranger.get("/api/v1/judges").json()["items"] == []
