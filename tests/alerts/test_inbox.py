"""The inbox: what waits, whose it is first, and what becomes of many items at once."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from alerts import moving
from alerts.models import Alarm, Incident
from evals.models import ReviewItem
from telltale.accounts.models import User
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects.models import Project, ProjectMember
from telltale.projects.write import create_key
from telltale.web.inbox.items import Item, Kind, ordered
from telltale.web.models import InboxMark
from tests.alerts.incident_kit import alarm_of, incident_of, monitor_of
from tests.evals.review_rows import judged, make_judge, make_queue, make_rubric, send_traces

NOW = clock.now()


@pytest.fixture
def rita(project):
    """A reviewer, who works the inbox."""
    person = User.objects.create(email="rita@example.com", name="Rita")
    ProjectMember.objects.create(project=project, user=person, role="reviewer")
    return person


@pytest.fixture
def flagged(project):
    """Two flagged answers that nobody has judged, and a queue for them."""
    rubric = make_rubric(project)
    version = make_judge(project, rubric)
    traces = send_traces(project, 3)
    for trace in traces[:2]:
        judged(project, version, trace, {"correctness": 1}, flagged=True)
    judged(project, version, traces[2], {"correctness": 5})
    make_queue(project)
    return [trace.hex for trace in traces[:2]]


def text_of(answer):
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def item(kind, ref="1", **fields):
    return Item(kind, ref, "title", "detail", "path", "Open", fields.pop("at", NOW), **fields)


def test_mine_come_first_then_nobodys_by_severity_and_time_left():
    later, sooner = NOW + timedelta(hours=2), NOW + timedelta(minutes=5)
    items = [
        item(Kind.INCIDENT, "theirs", severity=0, owner_id=2),
        item(Kind.FLAGGED, "old", at=NOW - timedelta(days=2)),
        item(Kind.FLAGGED, "new"),
        item(Kind.INCIDENT, "p2", severity=2, due_at=sooner),
        item(Kind.INCIDENT, "p1 later", severity=1, due_at=later),
        item(Kind.INCIDENT, "p1 sooner", severity=1, due_at=sooner),
        item(Kind.PROPOSAL, "mine", owner_id=1),
        item(Kind.MONITOR, "stuck"),
    ]

    found = [one.ref for one in ordered(items, 1)]

    assert found == ["mine", "p1 sooner", "p1 later", "p2", "stuck", "new", "old", "theirs"]


def test_nothing_waits_is_said_so(sign_in, alice, project):
    page = text_of(sign_in(alice).get("/p/shop/inbox/"))

    assert "Nothing waits for a person" in page
    assert "See what was put aside" in page


def test_the_list_holds_what_all_rooms_leave_to_people(project, alice, sign_in, flagged):
    incident_of(project, name="Errors of returns", feature="returns", severity=1)
    page = text_of(sign_in(alice).get("/p/shop/inbox/"))

    assert "1 open incident, 3 other items wait" in page
    assert "INC-1" in page
    assert "1 incident, 2 flagged answers, 1 gap about the set-up." in page
    assert "Nobody is told when an incident opens" in page
    assert "on correctness: Not in any source." in page


def test_an_answer_that_a_person_judged_waits_no_longer(project, alice, sign_in, flagged):
    queue = ReviewItem._meta.get_field("queue").related_model.objects.get(project=project)
    ReviewItem.objects.create(
        project=project, queue=queue, trace_id=flagged[0], started_at=NOW, state="done"
    )  # fmt: skip

    assert "1 flagged answer." in text_of(sign_in(alice).get("/p/shop/inbox/"))


def test_an_alarm_that_pages_and_has_no_incident_is_there(project, alice, sign_in):
    alarm_of(monitor_of(project, name="Lonely"))

    page = text_of(sign_in(alice).get("/p/shop/inbox/"))

    assert "Lonely rose above its upper limit" in page
    assert "It belongs to no incident." in page


def test_filters_of_the_address_narrow_page_and_file_alike(project, alice, sign_in, flagged):
    incident_of(project, feature="returns", severity=1)
    client = sign_in(alice)

    page = text_of(client.get("/p/shop/inbox/?kind=incident&owner=nobody&severity=p1"))
    assert 'value="incident:1"' in page
    assert 'value="flagged:' not in page
    assert "No item fits" in text_of(client.get("/p/shop/inbox/?q=nothing+like+this"))

    answer = client.get("/p/shop/inbox/?kind=flagged&format=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))
    assert [row["kind"] for row in rows] == ["flagged", "flagged"]
    assert {row["trace_id"] for row in rows} == set(flagged)


def test_wrong_filters_and_hostile_ones_are_left_out(project, alice, sign_in):
    incident_of(project)
    client = sign_in(alice)
    for query in (
        "kind=%00",
        "owner=root",
        "severity=p9",
        "after=%ff",
        "q=%00'",
        "feature=<script>",
        "dismissed=maybe",
    ):
        assert client.get(f"/p/shop/inbox/?{query}").status_code == 200


def post(client, act, *keys, **more):
    return client.post("/p/shop/inbox/act/", {"act": act, "key": keys, **more}, follow=True)


def test_many_items_are_assigned_at_once_each_where_it_belongs(project, rita, sign_in, flagged):
    incident_of(project, feature="returns", severity=1)
    client = sign_in(rita)

    page = text_of(post(client, "assign", "incident:1", f"flagged:{flagged[0]}"))

    assert "2 items assigned to you." in page
    assert Incident.objects.get(project=project).assignee == rita
    assert InboxMark.objects.get(kind="flagged").assignee == rita
    assert "2 of all yours" in page
    assert AuditEntry.objects.filter(action="inbox.assign").count() == 1
    assert "Nothing changed: it was so before." in text_of(post(client, "assign", "incident:1"))


def test_acknowledging_goes_to_incidents_and_alarms_and_says_what_it_cannot(project, rita, sign_in, flagged):
    incident_of(project, feature="returns")
    alarm = alarm_of(monitor_of(project, name="Lonely", feature="elsewhere"))

    page = text_of(post(sign_in(rita), "acknowledge", "incident:1", f"alarm:{alarm.pk}", f"flagged:{flagged[0]}"))

    assert "2 items acknowledged." in page
    assert "1 item was left as before: there is nothing to acknowledge." in page
    assert Incident.objects.get(project=project).state == "acknowledged"
    assert Alarm.objects.get(pk=alarm.pk).state == "acknowledged"


def test_put_aside_is_for_everybody_and_taken_back_with_one_button(project, rita, alice, sign_in, flagged):
    client = sign_in(rita)

    page = text_of(post(client, "dismiss", f"flagged:{flagged[0]}", "incident:9"))

    assert "1 item put aside for everybody" in page
    assert "1 item was left as before: is not in the inbox any more." in page
    assert "1 flagged answer." in text_of(sign_in(alice).get("/p/shop/inbox/"))
    assert flagged[0] in text_of(sign_in(alice).get("/p/shop/inbox/?dismissed=yes"))

    assert "1 item taken back." in text_of(post(client, "undo", f"flagged:{flagged[0]}"))
    assert "2 flagged answers." in text_of(sign_in(alice).get("/p/shop/inbox/"))
    assert list(AuditEntry.objects.filter(action__startswith="inbox.").values_list("action", flat=True)) == [
        "inbox.dismiss", "inbox.undo",
    ]  # fmt: skip


def test_an_incident_cannot_be_put_aside(project, rita, sign_in):
    incident_of(project)

    page = text_of(post(sign_in(rita), "dismiss", "incident:1"))

    assert "incidents end with a verdict on their own page" in page
    assert not InboxMark.objects.exists()


def test_flagged_answers_go_into_a_review_queue(project, rita, sign_in, flagged):
    keys = [f"flagged:{trace}" for trace in flagged]

    page = text_of(post(sign_in(rita), "queue", *keys, queue="flagged"))

    assert "2 items put into the queue." in page
    assert {one.hex for one in ReviewItem.objects.values_list("trace_id", flat=True)} == set(flagged)
    assert "Choose an open review queue first." in text_of(post(sign_in(rita), "queue", *keys, queue="none"))


def test_nothing_chosen_is_said_so(project, rita, sign_in):
    assert "Nothing was chosen." in text_of(post(sign_in(rita), "assign"))


def test_who_may_only_look_may_not_act(project, bob, sign_in):
    incident_of(project)
    client = sign_in(bob)

    assert 'name="act"' not in text_of(client.get("/p/shop/inbox/"))
    assert client.post("/p/shop/inbox/act/", {"act": "assign", "key": "incident:1"}).status_code == 403
    assert Incident.objects.get(project=project).assignee is None


def test_back_leads_within_the_inbox_alone(project, rita, sign_in):
    client = sign_in(rita)
    for wanted, found in (
        ("/p/shop/inbox/?kind=flagged", "/p/shop/inbox/?kind=flagged"),
        ("https://evil.example/p/shop/inbox/?x=1", "/p/shop/inbox/"),
        ("//evil.example/", "/p/shop/inbox/"),
        ("/p/other/inbox/?x=1", "/p/shop/inbox/"),
    ):
        assert client.post("/p/shop/inbox/act/", {"act": "x", "next": wanted}).url == found


def test_an_overdue_incident_that_somebody_closed_meanwhile_spoils_no_other(project, rita, sign_in, flagged):
    incident_of(project)
    moving.acknowledge(project, 1, user=rita)
    Incident.objects.update(state="resolved")

    page = text_of(post(sign_in(rita), "assign", "incident:1", f"flagged:{flagged[0]}"))

    assert "1 item assigned to you." in page
    assert "is not in the inbox any more" in page


def test_rest_lists_pages_and_acts(project, flagged):
    incident_of(project, feature="returns", severity=1)
    secret = create_key(project, "k", ("read", "write")).secret
    key = Client(headers={"Authorization": f"Bearer {secret}"})

    first = key.get("/api/v1/inbox?limit=2").json()
    assert [one["kind"] for one in first["items"]] == ["incident", "setup"]
    second = key.get(first["next"]).json()
    assert [one["kind"] for one in second["items"]] == ["flagged", "flagged"]
    assert second["next"] is None

    body = {"act": "dismiss", "keys": [f"flagged:{flagged[0]}", "incident:1"]}
    made = key.post("/api/v1/inbox", orjson.dumps(body), content_type="application/json").json()
    assert made["done"] == [f"flagged:{flagged[0]}"]
    assert [one["key"] for one in made["refused"]] == ["incident:1"]
    assert AuditEntry.objects.get(action="inbox.dismiss").actor.startswith("key ")

    body = {"act": "assign", "keys": ["incident:1"]}
    refused = key.post("/api/v1/inbox", orjson.dumps(body), content_type="application/json")
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "act"
    assert key.get("/api/v1/inbox?kind=nothing").json()["errors"][0]["field"] == "kind"


def test_rest_answers_the_overview(project):
    Project.objects.filter(pk=project.pk).update(first_span_at=NOW)
    incident_of(project, feature="returns", severity=1)
    secret = create_key(project, "k", ("read",)).secret

    found = Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/overview").json()

    assert [one["pillar"] for one in found["answers"]] == ["quality", "cost", "latency", "safety"]
    assert found["incidents"][0]["number"] == 1
    assert found["answers"][0]["is_known"] is False
    assert {one["key"] for one in found["health"]} >= {"lag", "rejected", "unpriced", "judge_failures", "coverage"}


def test_queries_of_the_list_do_not_grow(project, alice, sign_in, flagged):
    incident_of(project, name="I", feature="f")
    client = sign_in(alice)
    client.get("/p/shop/inbox/")

    def queries():
        with CaptureQueriesContext(connection) as held:
            client.get("/p/shop/inbox/")
        return len(held)

    few = queries()
    for at in range(6):
        incident_of(project, name=f"I{at}", feature=f"f{at}")
    assert queries() == few


def test_counts_stand_beside_the_sections(project, alice, sign_in):
    incident_of(project)

    page = sign_in(alice).get("/p/shop/inbox/").content.decode()

    assert '<span class="n count hot" title="1 open">1' in page
