"""Probes by REST: a suite from nothing to an alarm and its end, and what cannot be."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from django.test import Client

from evals.models import ProbeBaseline, ProbeRun
from evals.probes.checks import KINDS
from evals.probing import running
from telltale.jobs import work
from telltale.projects.keys import make_key
from tests.evals.judging_kit import make_connection
from tests.evals.probes_kit import JSON_PROBE, PERSON, SUM_PROBE, Provider

pytestmark = pytest.mark.django_db


@pytest.fixture
def provider(settings, monkeypatch):
    """A provider on loopback; pauses between tries are over at once."""
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(running, "AGAIN", timedelta(0))
    monkeypatch.setattr(running, "LOOK_SECONDS", 0.02)
    started = Provider()
    yield started
    started.close()


@pytest.fixture
def ask(project):
    secret = make_key(project, "All", ("ingest", "read", "write", "admin")).secret
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def asked(method, path, body=None, status=200):
        answer = client.generic(
            method, f"/api/v1/probes/{path}", b"" if body is None else orjson.dumps(body), "application/json"
        )
        assert answer.status_code == status, answer.content
        return answer.json() if answer.content else None

    return asked


def targets(project, provider):
    connection = make_connection(project, provider.url, at_a_time=8)
    return [{"connection": str(connection.pk), "model": "gpt-4"}]


def cycle(ask):
    number = ask("POST", "suites/provider/runs", status=202)["number"]
    work.run_next()
    return ask("GET", f"suites/provider/runs/{number}")


def test_a_suite_from_nothing_to_an_alarm_and_its_end(project, provider, ask):
    body = {"name": "Provider", "targets": targets(project, provider), "repeats": 5, "probes": [JSON_PROBE, SUM_PROBE]}
    made = ask("POST", "suites", body, 201)
    assert (made["slug"], made["schedule"], made["next_at"] is not None) == ("provider", {"every_minutes": 1440}, True)
    assert made["targets"][0]["is_pinned"] is False
    assert made["passes_that_alarm"] == 0

    first, second = cycle(ask), cycle(ask)

    assert (first["state"], first["asked"], first["calls"]) == ("done", 40, 40)
    assert float(first["cost_usd"]) > 0
    assert [each["result"]["state"] for each in second["results"]] == ["same", "same"]
    assert ask("GET", "alarms")["items"] == []

    provider.mode = "fenced"
    third = cycle(ask)

    assert {each["probe"]: each["result"]["state"] for each in third["results"]} == {
        "format-json": "changed", "sum": "same",
    }  # fmt: skip
    alarm = ask("GET", "alarms?is_open=true")["items"][0]
    assert (alarm["run"], alarm["state"], alarm["verdict"]) == (3, "open", "")
    assert [each["probe"] for each in alarm["changed"]] == ["format-json"]
    assert all(each["p"] <= each["level"] for each in alarm["evidence"])
    series = alarm["changed"][0]["series"]
    now, then = ask("GET", f"series/{series}/answers?run=3"), ask("GET", f"series/{series}/answers")
    assert now["items"][0]["text"].startswith("Here you are:")
    assert now["items"][0]["checks"][0]["passed"] is False
    assert (len(then["items"]), then["items"][0]["passed"]) == (20, True)

    assert ask("POST", f"alarms/{alarm['id']}/acknowledge")["state"] == "acknowledged"
    # The same again, and the alarm is one still.
    assert cycle(ask)["results"][0]["result"]["state"] == "changed"
    assert len(ask("GET", "alarms")["items"]) == 1
    told = ask("POST", f"series/{series}/baselines", {"run": 3, "reason": "new model"}, 409)
    assert "open" in told["detail"]

    closed = ask("POST", f"alarms/{alarm['id']}/close", {"verdict": "accepted", "note": "It is their new format."})
    assert (closed["state"], closed["verdict"]) == ("closed", "accepted")
    assert ask("POST", f"alarms/{alarm['id']}/close", {"verdict": "real"}, 409)["status"] == 409
    baselines = ask("GET", f"series/{series}/baselines")["items"]
    assert [(each["number"], each["first_run"], each["passes"], each["runs"]) for each in baselines] == [
        (2, 3, 0, 10), (1, 1, 25, 25),
    ]  # fmt: skip
    # Ten of twenty first answers are there: the next run asks for the rest, and then it is compared again.
    assert cycle(ask)["results"][0]["result"]["state"] == "learning"
    assert cycle(ask)["results"][0]["result"]["state"] == "same"
    results = ask("GET", f"series/{series}/results?limit=2")
    assert [each["run"] for each in results["items"]] == [6, 5]
    assert ask("GET", f"series/{series}/results?before={results['next']}")["items"][0]["run"] == 4
    assert ProbeBaseline.objects.filter(ended_at=None).count() == 2


def test_what_cannot_be_names_field_limit_and_value(project, provider, ask):
    good = {"name": "Provider", "targets": targets(project, provider), "probes": [JSON_PROBE]}
    for change, field in (
        ({"targets": []}, "targets"),
        ({"targets": [{"connection": "999999", "model": "m"}]}, "targets[0].connection"),
        ({"targets": [{"connection": good["targets"][0]["connection"], "model": ""}]}, "targets[0].model"),
        ({"schedule": {"every_minutes": 1}}, "schedule.every_minutes"),
        ({"schedule": {"days": ["some"], "at": "06:00"}}, "schedule.days[0]"),
        ({"schedule": {"days": ["mon"], "at": "6"}}, "schedule.at"),
        ({"repeats": 4}, "repeats"),
        ({"temperature": 3}, "temperature"),
        ({"budget_usd_run": "0"}, "budget_usd_run"),
        ({"presets": ["nothing"]}, "presets[0]"),
        ({"encoder": {"connection": "0", "model": "e"}}, "encoder.connection"),
        ({"probes": [JSON_PROBE, JSON_PROBE]}, "probes[1].key"),
        ({"probes": [{"key": "Not a key"} | SUM_PROBE | {"key": "A b"}]}, "probes[0].key"),
        ({"probes": [SUM_PROBE | {"checks": []}]}, "probes[0].checks"),
        ({"probes": [SUM_PROBE | {"checks": [{"kind": "regex", "pattern": "("}]}]}, "probes[0].checks[0].pattern"),
        ({"probes": [SUM_PROBE | {"checks": [{"kind": "judge", "judge": "no", "criterion": "c", "at_least": 1}]}]},
         "checks[0].judge"),
        ({"probes": [SUM_PROBE | {"user": "\x00"}]}, "probes[0].user"),
        ({"probes": [SUM_PROBE | {"tools": [{"name": "a b"}]}]}, "probes[0].tools[0].name"),
    ):  # fmt: skip
        told = ask("POST", "suites", good | change, 400)
        assert told["errors"][0]["field"] == field, (change, told)
    assert ask("GET", "suites")["items"] == []
    ask("POST", "suites", good, 201)
    assert ask("POST", "suites", good, 400)["errors"][0]["field"] == "name"
    assert ask("PATCH", "suites/provider", {}, 400)
    for path in ("suites/%00", "suites/none", "series/0", "series/99999999999999999999", "alarms/1",
                 "suites/provider/runs/99999999999", "suites/provider/probes/none"):  # fmt: skip
        ask("GET", path, status=404)


def test_a_changed_question_is_a_version_that_learns_anew(project, provider, ask):
    ask("POST", "suites", {"name": "Provider", "targets": targets(project, provider), "repeats": 5,
                           "presets": ["arithmetic-001"]}, 201)  # fmt: skip
    probe = {name: SUM_PROBE[name] for name in ("must", "user", "checks")}

    assert ask("PUT", "suites/provider/probes/sum", probe)["version"] == 1
    assert ask("PUT", "suites/provider/probes/sum", probe)["version"] == 1
    cycle(ask)
    assert ask("PUT", "suites/provider/probes/sum", probe | {"user": "What is 17 times 23? Think."})["version"] == 2

    assert [each["version"] for each in ask("GET", "series?suite=provider")["items"]] == [1]
    results = cycle(ask)["results"]
    assert [(each["probe"], each["version"], each["result"]["state"]) for each in results] == [
        ("arithmetic-001", 1, "same"), ("sum", 2, "learning"),
    ]  # fmt: skip
    ask("DELETE", "suites/provider/probes/sum", status=204)
    assert ask("GET", "suites/provider")["probes"] == ["arithmetic-001"]


def test_checks_are_tried_on_a_text_without_a_call(ask):
    body = {"must": "be JSON", "user": "q", "checks": [{"kind": "json_schema", "schema": PERSON}]}

    good = ask("POST", "check", body | {"answer": '{"name": "Ada", "age": 36}'})
    bad = ask("POST", "check", body | {"answer": "no"})

    assert (good["passed"], bad["passed"]) == (True, False)
    assert "JSON" in bad["checks"][0]["told"]


def test_a_run_that_is_cancelled_judges_nothing_and_the_next_one_begins(project, provider, ask):
    ask("POST", "suites", {"name": "Provider", "targets": targets(project, provider), "probes": [SUM_PROBE]}, 201)
    ask("POST", "suites/provider/runs", status=202)

    assert ask("POST", "suites/provider/runs", status=409)
    assert ask("POST", "suites/provider/runs/1/cancel")["state"] == "cancelled"
    assert ask("POST", "suites/provider/runs/1/cancel", status=409)

    work.run_next()
    assert provider.calls == 0
    assert cycle(ask)["state"] == "done"
    assert ProbeRun.objects.get(number=1).results.count() == 0


def test_what_the_docs_say_works_and_they_know_every_check(project, provider, ask):
    text = (Path(__file__).parents[2] / "docs" / "probes.md").read_text(encoding="utf-8")
    body = orjson.loads(text.split("-d '", 1)[1].split("'\n", 1)[0])
    body["targets"] = [each | targets(project, provider)[0] | {"model": each["model"]} for each in body["targets"][:1]]

    made = ask("POST", "suites", body, 201)

    assert (made["slug"], len(made["probes"])) == ("models-in-production", 4)
    table = text.split("| kind | holds where")[1].split("\n\n")[0]
    assert set(KINDS) <= set(re.findall(r"`(\w+)`", table))
