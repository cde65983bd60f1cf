"""Incidents by REST: listed, opened, worked, merged, split, summed up; and what is refused."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from alerts import grouping
from alerts.models import Alarm, Incident, IncidentStep
from telltale.lib import clock
from telltale.projects.models import Project
from tests.alerts.incident_kit import alarm_of, incident_of, monitor_of


class Rest:
    def __init__(self, secret):
        self.client = Client(headers={"Authorization": f"Bearer {secret}"})

    def __call__(self, method, path="", body=None, status=200):
        address = f"/api/v1/incidents{path}"
        told = {} if method == "get" else {"data": body or {}, "content_type": "application/json"}
        answer = getattr(self.client, method)(address, **told)
        assert answer.status_code == status, answer.content
        return answer.json() if answer["Content-Type"].endswith("json") and answer.content else answer.content.decode()


@pytest.fixture
def rest(key):
    return Rest(key.secret)


def test_incidents_are_listed_filtered_and_paged(project, rest):
    for number in range(5):
        incident_of(project, name=f"M{number}", metric=f"m{number}", feature=f"f{number}", severity=number % 3)
    IncidentStep.objects.filter(incident__number=4).update(due_at=clock.now() - timedelta(minutes=1))

    page = rest("get", "?sort=time_left&limit=2")
    seen = [one["number"] for one in page["items"]]
    while page["next"]:
        page = rest("get", "?" + page["next"].split("?", 1)[1])
        seen += [one["number"] for one in page["items"]]

    assert seen[0] == 4
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert [one["number"] for one in rest("get", "?severity=2")["items"]] == [3]
    assert [one["number"] for one in rest("get", "?feature=f4&assignee=nobody&state=open")["items"]] == [5]
    assert rest("get", "?q=INC-2")["items"][0]["is_overdue"] is False


@pytest.mark.parametrize(
    "query",
    ["sort=worst", "severity=9", "state=shut", "assignee=me", "limit=0", "cursor=nonsense",
     "from=2026-02-02&to=2026-01-01",
     "colour=red", "cursor=WyJvcGVuZWQ6eCIsIDFd"],
)  # fmt: skip
def test_a_filter_that_is_wrong_is_named(rest, query):
    assert rest("get", f"?{query}", status=400)["errors"]


def test_one_has_everything_its_page_shows(project, rest):
    incident_of(project, name="Errors of returns", feature="returns", severity=1)

    told = rest("get", "/INC-1")

    assert (told["ref"], told["severity"], told["step"], told["scope"]) == (
        "INC-1", 1, "triage", {"feature": ["returns"]},
    )  # fmt: skip
    assert told["agreement"]["agree"] == told["agreement"]["of"] == 1
    assert told["first_members"][0]["says"] == "rose above its upper limit"
    assert [one["kind"] for one in told["last_events"]] == ["joined", "opened"]
    assert told["steps"][0]["due_at"] is not None
    for path in ("/2", "/0", "/x", "/INC-", f"/{10**30}"):
        rest("get", path, status=404)


def test_an_incident_is_worked_from_opened_to_learn(project, rest, alice):
    made = rest("post", "", {"title": "Returns are wrong", "scope": {"feature": "returns"}}, status=201)
    path = f"/{made['number']}"

    assert rest("post", f"{path}/acknowledge")["state"] == "acknowledged"
    assert rest("post", f"{path}/acknowledge")["acknowledged_by"] is None
    assert rest("post", f"{path}/assign", {"user_id": alice.pk})["assignee"] == "Alice"
    assert rest("patch", path, {"severity": 0, "title": "Returns are very wrong"})["severity"] == 0
    rest("put", f"{path}/steps/triage", {"draft": {"note": "half"}})
    for step in ("triage", "scope", "isolate", "respond"):
        rest("put", f"{path}/steps/{step}", {"outcome": {"words": f"{step} is done"}})
    assert rest("get", path)["step"] == "learn"
    assert rest("put", f"{path}/steps/scope", {"is_open": True})["step"] == "scope"
    steps = {one["step"]: one for one in rest("get", f"{path}/steps")["items"]}
    assert steps["triage"]["outcome"] == {"words": "triage is done"}
    assert steps["triage"]["draft"] == {}
    rest("post", f"{path}/comments", {"text": "Rolled back"}, status=201)
    assert rest("get", f"{path}/comments")["items"][0]["words"] == "API key Test: Rolled back"
    assert len(rest("get", f"{path}/events?limit=2")["items"]) == 2


def test_a_version_that_is_not_in_force_changes_nothing(project, rest):
    incident_of(project)
    version = rest("get", "/1")["version"]
    rest("patch", "/1", {"title": "A", "of_version": version})

    refused = rest("patch", "/1", {"title": "B", "of_version": version}, status=409)

    assert refused["errors"][0]["field"] == "of_version"
    assert rest("get", "/1")["title"] == "A"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("post", "", {"title": ""}, "title"),
        ("post", "", {"title": "x", "severity": 4}, "severity"),
        ("post", "", {"title": "x", "scope": {"colour": "red"}}, "scope.colour"),
        ("post", "", {"title": "x", "scope": {"feature": [1]}}, "scope.feature"),
        ("post", "", {"title": "x", "scope": {"feature": ["a\u0000b"]}}, "scope.feature"),
        ("post", "", {"title": "x", "members": [{"kind": "alarm", "id": 77}]}, "members.0.id"),
        ("post", "", {"title": "x", "members": [{"kind": "trace", "id": 7}]}, "members.0.kind"),
        ("patch", "/1", {}, "title"),
        ("post", "/1/assign", {}, "user_id"),
        ("post", "/1/assign", {"user_id": 999999}, "user_id"),
        ("post", "/1/comments", {"text": " "}, "text"),
        ("post", "/1/mute", {}, "until"),
        ("post", "/1/mute", {"until": "2020-01-01T00:00:00Z"}, "until"),
        ("post", "/1/merge", {"into": 1}, "into"),
        ("post", "/1/merge", {"into": 9}, "into"),
        ("post", "/1/split", {"members": [1]}, "members"),
        ("put", "/1/steps/triage", {}, "outcome"),
        ("put", "/1/steps/triage", {"outcome": [1]}, "outcome"),
        ("put", "/1/steps/triage", {"outcome": {}, "draft": {}}, "outcome"),
        ("put", "/1/steps/triage", {"draft": {"a": "\u0000"}}, "draft"),
        ("put", "/1/steps/triage", {"is_open": False}, "is_open"),
        ("put", "/settings", {"timers": {"p0": {"triage": 0}}}, "timers.p0.triage"),
        ("put", "/settings", {"recovery_hours": "NaN"}, "recovery_hours"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(project, rest, method, path, body, field):
    incident_of(project)

    refused = rest(method, path, body, status=400)

    assert field in [error["field"] for error in refused["errors"]]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("post", "/1/acknowledge", {}), ("post", "/1/mute", {"until_worse": True}), ("post", "/1/merge", {"into": 1}),
     ("put", "/1/steps/scope", {"outcome": {}}), ("post", "/1/assign", {"user_id": None})],
)  # fmt: skip
def test_a_closed_incident_says_what_would_have_to_be_done_first(project, rest, method, path, body):
    incident_of(project)
    Incident.objects.update(state="resolved", closed_at=clock.now())

    refused = rest(method, path, body, status=400 if "merge" in path else 409)

    assert refused["detail"]


def test_members_join_are_merged_and_split_by_rest(project, rest):
    incident_of(project, name="A", feature="a")
    incident_of(project, name="B", metric="cost_request", feature="b")
    notice = alarm_of(monitor_of(project, "C", "length", feature="c"), is_page=False)

    assert rest("post", "/1/members", {"members": [{"kind": "alarm", "id": notice.pk}]})["members"] == 2
    assert rest("post", "/1/members", {"members": [{"kind": "alarm", "id": notice.pk}]})["members"] == 2
    rest("post", "/2/members", {"members": [{"kind": "alarm", "id": notice.pk}]}, status=400)
    assert rest("post", "/1/merge", {"into": 2})["members"] == 3
    held = rest("get", "/2/members?limit=2")
    assert held["next"]
    last = rest("get", "/2/members?" + held["next"].split("?", 1)[1])["items"]
    assert len(held["items"]) + len(last) == 3
    made = rest("post", "/2/split", {"members": [last[0]["id"]], "title": "Apart"}, status=201)
    assert (made["title"], made["members"], made["split_from"]) == ("Apart", 1, 2)
    rest("post", "/1/acknowledge", status=409)


def test_a_resolved_one_is_opened_again(project, rest):
    incident_of(project)
    Incident.objects.update(state="resolved", verdict="real", closed_at=clock.now())

    told = rest("post", "/1/reopen", {"reason": "It is back"})

    assert (told["state"], told["round"], told["step"]) == ("open", 2, "triage")
    rest("post", "/1/reopen", {"reason": "Twice"}, status=409)


def test_the_summary_is_had_as_json_and_as_markdown(project, rest):
    incident_of(project)
    rest("put", "/1/steps/triage", {"outcome": {"words": "16 of 19 are real"}})

    told, text = rest("get", "/1/summary"), rest("get", "/1/summary?format=markdown")

    assert told["steps"][0]["words"] == "16 of 19 are real"
    assert told["opened_to_closed_minutes"] is None
    assert [line["kind"] for line in told["timeline"]] == ["opened", "joined", "step"]
    assert "## Triage: is it real?\n\n16 of 19 are real" in text
    assert "/p/shop/incidents/1/" in text
    rest("get", "/1/summary?format=pdf", status=400)


def test_timers_are_set_by_severity_and_those_under_way_follow(project, rest):
    incident_of(project, severity=1)
    assert rest("get", "/settings")["timers"]["p1"] == {
        "triage": 30, "scope": 60, "isolate": 120, "respond": None, "learn": None,
    }  # fmt: skip

    told = rest("put", "/settings", {"timers": {"p1": {"triage": 10, "learn": 600}}, "cases_least": 3})

    assert (told["timers"]["p1"]["triage"], told["timers"]["p0"]["triage"], told["cases_least"]) == (10, 30, 3)
    step = IncidentStep.objects.get()
    assert step.due_at - step.started_at == timedelta(minutes=10)


def test_another_project_has_none_of_it(project, rest, charlie):
    far = Project.objects.get(slug="far")
    incident_of(far)

    rest("get", "/1", status=404)
    rest("post", "/1/acknowledge", status=404)
    alarm = Alarm.objects.get()
    body = {"title": "x", "members": [{"kind": "alarm", "id": alarm.pk}]}
    rest("post", "", body, status=400)
    assert grouping.take_alarms() == 0
