"""The pages of incidents: list, one, by hand, acts, summary; for who may and for who may not."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.urls import reverse

from alerts import grouping, moving, regrouping
from alerts.incidents.types import Step
from alerts.models import Alarm, Incident, IncidentMember, IncidentStep, Transition
from alerts.pages import incident as page_of
from alerts.read.incidents import get_incident, list_incidents, spot_of
from telltale.accounts.models import User
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects.models import ProjectMember
from tests.alerts.incident_kit import HOUR, alarm_of, incident_of, monitor_of
from traces.read import TooSlow


@pytest.fixture
def rita(project):
    """A reviewer: may work incidents, may not change settings."""
    person = User.objects.create(email="rita@example.com", name="Rita")
    ProjectMember.objects.create(project=project, user=person, role="reviewer")
    return person


def act(client, number=1, **told):
    return client.post(f"/p/shop/incidents/{number}/act/", told, follow=True)


def text(answer):
    return answer.content.decode()


def test_the_list_has_the_least_time_left_first_and_says_so(project, alice, sign_in):
    incident_of(project, name="Errors of a", feature="a", severity=1)
    incident_of(project, name="Cost of b", metric="cost_request", feature="b")
    IncidentStep.objects.filter(incident__number=2).update(due_at=clock.now() + timedelta(minutes=12.5))

    page = text(sign_in(alice).get("/p/shop/incidents/"))

    assert "Two open incidents; one must be triaged within 12 min" in page
    assert page.index("INC-2") < page.index("INC-1")
    assert "6.9%" in page


def test_a_project_without_monitors_is_told_what_opens_incidents(project, alice, sign_in):
    page = text(sign_in(alice).get("/p/shop/incidents/"))

    assert "Nothing is watched yet" in page
    assert "No open incident" in page


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("severity=p1", {1}), ("q=INC-2", {2}), ("q=cost", {2}), ("feature=a", {1}), ("owner=me", set()),
        ("owner=nobody", {1, 2}), ("step=scope", set()), ("step=nonsense&severity=p9&after=x&t=17d", {1, 2}),
        ("q=%00", {1, 2}),
    ],
)  # fmt: skip
def test_filters_are_in_the_address(project, alice, sign_in, query, numbers):
    incident_of(project, name="Errors of a", feature="a", severity=1)
    incident_of(project, name="Cost of b", metric="cost_request", feature="b")

    page = text(sign_in(alice).get(f"/p/shop/incidents/?{query}"))

    assert {number for number in (1, 2) if f"INC-{number} " in page} == numbers


def test_the_list_and_the_page_ask_as_many_questions_for_many_incidents(
    project, alice, sign_in, django_assert_max_num_queries
):
    client = sign_in(alice)
    for number in range(12):
        incident_of(project, name=f"M{number}", metric=f"m{number}", feature=f"f{number}")
    client.get("/p/shop/incidents/")

    with django_assert_max_num_queries(22):
        assert client.get("/p/shop/incidents/").status_code == 200


def test_pages_of_a_list_follow_one_another_without_gap(project):
    for number in range(7):
        incident_of(project, name=f"M{number}", metric=f"m{number}", feature=f"f{number}")
    IncidentStep.objects.filter(incident__number__in=(2, 5)).update(due_at=None)
    seen, after = [], None
    while rows := list_incidents(project.pk, sort="time_left", limit=3, after=after):
        seen += [row.number for row in rows]
        after = spot_of(rows[-1], "time_left")

    assert sorted(seen) == list(range(1, 8))
    assert set(seen[-2:]) == {2, 5}


def test_the_page_shows_steps_signals_members_and_timeline(project, alice, sign_in):
    incident_of(project, name="Returns: errors", feature="returns")

    page = text(sign_in(alice).get("/p/shop/incidents/1/"))

    for words in (
        "Returns: errors rose", "Triage: is it real?", "30 min left", "Opened as P2", "1 of 1 signal agrees",
        "rose above its upper limit (6.9%)", 'id="learn"', "Nobody owns it",
    ):  # fmt: skip
        assert words in page, words
    assert sign_in(alice).get("/p/shop/incidents/2/").status_code == 404
    assert sign_in(alice).get(f"/p/shop/incidents/{10**20}/").status_code == 404


def test_a_stranger_sees_nothing_and_a_viewer_does_nothing(project, bob, charlie, sign_in):
    incident_of(project)

    assert sign_in(charlie).get("/p/shop/incidents/1/").status_code == 404
    assert 'value="acknowledge"' not in text(sign_in(bob).get("/p/shop/incidents/1/"))
    assert sign_in(bob).post("/p/shop/incidents/1/act/", {"act": "acknowledge"}).status_code == 403
    assert Incident.objects.get().state == "open"


def test_a_part_that_fails_or_is_too_slow_leaves_the_page_standing(project, alice, sign_in, monkeypatch, caplog):
    incident_of(project)
    parts = dict(page_of.PARTS)
    parts[Step.SCOPE] = lambda *told: 1 / 0

    def slow(*told):
        raise TooSlow

    parts[Step.ISOLATE] = slow
    monkeypatch.setattr(page_of, "PARTS", parts)

    page = text(sign_in(alice).get("/p/shop/incidents/1/"))

    assert page.count("Not shown") == 2
    assert "This part could not be made" in page
    assert "took too long" in page
    assert "Opened as P2" in page


def test_taking_it_acknowledges_it_once_and_tells_once(project, rita, sign_in):
    incident_of(project)
    client = sign_in(rita)

    assert "you are on it" in text(act(client, act="acknowledge"))
    assert "like that already" in text(act(client, act="acknowledge"))

    row = get_incident(project.pk, 1)
    assert (row.state, row.assignee, row.acknowledged_by) == ("acknowledged", "Rita", "Rita")
    assert Transition.objects.filter(kind="acknowledged").count() == 1
    assert AuditEntry.objects.filter(action="incident.acknowledged", actor="rita@example.com").count() == 1


def test_people_comment_rename_and_set_how_bad_it_is(project, rita, sign_in):
    incident_of(project)
    Transition.objects.update(routed_at=clock.now())
    client = sign_in(rita)

    act(client, act="comment", text="<script>alert(1)</script> rolling back")
    act(client, act="retitle", title="  Returns   answer wrongly ")
    page = text(act(client, act="severity", severity="0"))

    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
    row = get_incident(project.pk, 1)
    assert (row.title, row.severity) == ("Returns answer wrongly", 0)
    assert list(Transition.objects.order_by("at").values_list("kind", "severity")) == [("opened", 2), ("worse", 0)]


@pytest.mark.parametrize(
    "told",
    [
        {"act": "comment", "text": ""}, {"act": "comment", "text": "x" * 5000}, {"act": "comment", "text": "a\x00b"},
        {"act": "retitle", "title": " "}, {"act": "severity", "severity": "9"}, {"act": "severity"},
        {"act": "mute", "for": "a while"}, {"act": "merge", "into": "INC-99"}, {"act": "merge", "into": "1"},
        {"act": "merge", "into": "9" * 18}, {"act": "split"}, {"act": "split", "member": ["1", "x", "9" * 30]},
        {"act": "assign", "user_id": "999999"}, {"act": "assign", "user_id": "x"}, {"act": "go_back", "step": "learn"},
        {"act": "go_back", "step": "nonsense"}, {"act": "reopen", "reason": "again"}, {"act": "nonsense"}, {},
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_changes_nothing(project, rita, sign_in, told):
    incident_of(project)
    before = get_incident(project.pk, 1)

    answer = act(sign_in(rita), **told)

    assert answer.status_code == 200
    assert 'role="status"' in text(answer)
    assert get_incident(project.pk, 1) == before


def test_it_goes_to_people_who_may_work_it_alone(project, rita, bob, alice, sign_in):
    incident_of(project)
    client = sign_in(rita)

    assert "may only look" in text(act(client, act="assign", user_id=bob.pk))
    act(client, act="assign", user_id=alice.pk)
    assert get_incident(project.pk, 1).assignee == "Alice"
    act(client, act="assign", user_id="")
    assert get_incident(project.pk, 1).assignee_id is None


def test_muting_until_worse_ends_when_it_is_worse(project, rita, sign_in):
    incident_of(project)
    assert "Muted until it gets worse" in text(act(sign_in(rita), **{"act": "mute", "for": "worse"}))

    moving.set_severity(project, 1, 1, user=rita)

    assert not get_incident(project.pk, 1).is_muted(clock.now())


def test_two_incidents_are_merged_and_one_is_split_off(project, rita, sign_in):
    incident_of(project, name="Errors of a", feature="a", severity=1)
    incident_of(project, name="Cost of b", metric="cost_request", feature="b")
    client = sign_in(rita)

    page = text(act(client, number=1, act="merge", into="INC-2"))

    assert "INC-1 is merged: this is INC-2" in page
    one, two = get_incident(project.pk, 1), get_incident(project.pk, 2)
    assert (one.state, one.merged_into, one.members) == ("merged", 2, 0)
    assert (two.severity, two.members, two.scope) == (1, 2, {"feature": ("a", "b")})
    assert "Merged into" in text(client.get("/p/shop/incidents/1/"))
    assert "was merged into INC-2" in text(act(client, number=1, act="acknowledge"))

    member = IncidentMember.objects.get(facts__name="Cost of b")
    page = text(act(client, number=2, act="split", member=[member.pk]))

    assert "Split off INC-2: this is INC-3" in page
    assert (get_incident(project.pk, 3).scope, get_incident(project.pk, 3).split_from) == ({"feature": ("b",)}, 2)
    assert get_incident(project.pk, 2).members == 1
    assert "are all of them" in text(act(client, number=3, act="split", member=[member.pk]))


def test_a_step_that_is_finished_starts_the_next_and_can_be_gone_back_to(project, rita, sign_in):
    incident_of(project)

    assert moving.finish_step(project, 1, Step.TRIAGE, {"words": "16 of 19 are real"}, user=rita) == "scope"
    assert moving.finish_step(project, 1, Step.TRIAGE, {"words": "17 of 19 are real"}, user=rita) == "scope"
    assert moving.finish_step(project, 1, Step.ISOLATE, {"words": "prompt v18"}, user=rita) == "scope"
    assert moving.finish_step(project, 1, Step.SCOPE, {"words": "returns"}, user=rita) == "respond"

    row = get_incident(project.pk, 1)
    assert (row.state, row.assignee) == ("acknowledged", "Rita")
    assert IncidentStep.objects.get(step="triage").outcome == {"words": "17 of 19 are real"}
    assert IncidentStep.objects.get(step="scope").due_at is not None
    page = text(act(sign_in(rita), act="go_back", step="scope"))
    assert "Rita went back to scope" in page
    assert get_incident(project.pk, 1).step == "scope"


def test_an_alarm_opens_one_by_hand_or_joins_one(project, rita, sign_in):
    notice = alarm_of(monitor_of(project, "Length of a", "length", feature="a"), is_page=False)
    client = sign_in(rita)
    form = text(client.get(f"/p/shop/incidents/new/?alarm={notice.pk}&alarm=77"))
    assert "Length of a rose" in form
    assert "1 of what the address names is not there" in form

    told = {"title": "Answers of a are too long", "severity": "3", "feature": "a", "alarm": notice.pk}
    answer = client.post("/p/shop/incidents/new/", told)

    assert answer.url == reverse("incident", args=["shop", 1])
    row = get_incident(project.pk, 1)
    assert (row.origin, row.severity, row.members, row.created_by) == ("person", 3, 1, "Rita")
    again = client.post("/p/shop/incidents/new/", told)
    assert again.status_code == 400
    assert "belongs to INC-1" in text(again)
    other = alarm_of(monitor_of(project, "Length of b", "length", feature="b"), is_page=False)
    assert client.post("/p/shop/incidents/new/", {"alarm": other.pk, "into": "1"}).url.endswith("/incidents/1/")
    assert get_incident(project.pk, 1).members == 2
    assert client.post("/p/shop/incidents/new/", {"title": "", "severity": "x"}).status_code == 400


def test_a_closed_incident_can_be_opened_again_by_a_person(project, rita, sign_in):
    incident_of(project)
    Incident.objects.update(state="resolved", verdict="real", closed_at=clock.now())
    Alarm.objects.update(state="ended")

    page = text(act(sign_in(rita), act="reopen", reason="Customers write again"))

    assert "Opened again: it came back: Customers write again" in page
    assert get_incident(project.pk, 1).round == 2


def test_the_fragment_says_what_another_person_did(project, rita, alice, sign_in):
    incident_of(project)
    client = sign_in(alice)
    version = get_incident(project.pk, 1).version
    calm = text(client.get(f"/p/shop/incidents/1/moves/?since={version}"))
    assert "hx-get" in calm
    assert "Reload" not in calm

    moving.comment(project, 1, "Rolling back", user=rita)

    moved = text(client.get(f"/p/shop/incidents/1/moves/?since={version}"))
    assert "Rita" in moved
    assert "Reload" in moved
    assert client.get("/p/shop/incidents/1/moves/?since=x").status_code == 200


def test_the_summary_writes_itself_and_escapes_what_people_wrote(project, rita, sign_in):
    incident_of(project, name="Returns: [errors](http://evil)", feature="returns")
    moving.finish_step(project, 1, Step.TRIAGE, {"words": "# 16 of 19 *are* <b>real</b>"}, user=rita)
    client = sign_in(rita)

    page = text(client.get("/p/shop/incidents/1/summary/"))
    answer = client.get("/p/shop/incidents/1/summary/?format=markdown")

    assert "Rita finished triage" in page
    assert "<b>real</b>" not in page
    told = text(answer)
    assert answer["Content-Type"].startswith("text/markdown")
    assert "# INC-1: Returns: \\[errors\\](http://evil) rose" in told
    assert "\\# 16 of 19 \\*are\\* \\<b\\>real\\</b\\>" in told
    assert "caused" not in told


def test_the_list_is_had_as_a_file(project, alice, sign_in):
    for number in range(3):
        incident_of(project, name=f"M{number}", metric=f"m{number}", feature=f"f{number}")
    client = sign_in(alice)

    rows = b"".join(client.get("/p/shop/incidents/?format=ndjson").streaming_content).decode().splitlines()
    told = b"".join(client.get("/p/shop/incidents/?format=csv&feature=f1").streaming_content).decode().splitlines()

    assert [json.loads(row)["number"] for row in rows] == [3, 2, 1]
    assert len(told) == 2


def test_what_a_person_opens_takes_in_alarms_that_follow(project, rita):
    number = regrouping.open_by_hand(project, "Returns are odd", 2, {"feature": "returns"}, user=rita)
    alarm_of(monitor_of(project, "Cost", "cost_request", feature="returns"), ago=0.5)

    grouping.take_alarms([project.pk])

    row = get_incident(project.pk, number)
    assert (row.members, row.title, Incident.objects.count()) == (1, "Returns are odd", 1)
    assert row.began_at < row.opened_at - HOUR / 4
