"""The pages of channels, routes, silences and the log: what they say, whom they let, and what they never show."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from alerts import delivering, routing
from alerts.addressing import channels
from alerts.models import Channel, Delivery, NoticeSettings, Route, Silence
from alerts.notifying import tell_project
from alerts.pages import channels as pages
from telltale.lib import clock, egress
from telltale.projects.models import ProjectMember
from tests.alerts.incident_kit import incident_of
from tests.alerts.receiver_kit import Receiver

pytestmark = pytest.mark.django_db
P = "/p/shop/settings/channels/"
LOG = "/p/shop/incidents/notices/"
SILENCES = "/p/shop/incidents/silences/"


@pytest.fixture
def receiver(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(delivering, "LIMITS", egress.Limits(0.5, 0.5, 1.0))
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def owner(sign_in, alice, project):
    return sign_in(alice)


def text(answer, status=200):
    assert answer.status_code == status, answer.content[:2000]
    return answer.content.decode()


def test_a_project_without_channels_says_that_nobody_is_told(owner):
    assert "Nobody is told" in text(owner.get(P))
    assert "The project has no channel" in text(owner.get(LOG))


@pytest.mark.parametrize("kind", ["email", "slack", "pagerduty", "teams", "opsgenie", "webhook", "nonsense"])
def test_every_kind_has_its_form(owner, kind):
    assert "Save channel" in text(owner.get(f"{P}new/?kind={kind}"))


def test_a_webhook_is_made_tested_changed_switched_and_put_away(owner, project, receiver):
    page = text(owner.post(f"{P}new/?kind=webhook", {"name": "Hook", "url": receiver.url}))
    assert "whsec_" in page
    row = Channel.objects.get()
    assert "whsec_" not in text(owner.get(P))
    assert receiver.url not in text(owner.get(f"{P}{row.pk}/"))

    assert "Hook: Answered 204." in text(owner.post(f"{P}{row.pk}/test/", follow=True))
    receiver.plan = [(500, {}, 0)]
    page = text(owner.post(f"{P}{row.pk}/test/", follow=True))
    assert "cannot take messages now (HTTP 500)" in page
    assert "Failing" in page

    assert "whsec_" in text(owner.post(f"{P}{row.pk}/rotate/"))
    assert "is saved" in text(owner.post(f"{P}{row.pk}/", {"name": "Other", "url": ""}, follow=True))
    assert "is off" in text(owner.post(f"{P}{row.pk}/switch/", {"on": "0"}, follow=True))
    assert "Put" in text(owner.get(f"{P}{row.pk}/remove/"))
    assert "1 put away" in text(owner.post(f"{P}{row.pk}/remove/", follow=True))
    assert owner.get(f"{P}{row.pk}/").status_code == 404


def test_a_refused_form_says_why_and_keeps_what_was_typed_but_no_secret(owner):
    page = text(owner.post(f"{P}new/?kind=slack", {"name": "Ops", "url": "http://10.0.0.1/secret-x"}), 400)

    assert "Address: is refused" in page
    assert 'value="Ops"' in page
    assert "secret-x" not in page
    page = text(owner.post(f"{P}new/?kind=email", {"name": "", "to": "a@example.com, nobody"}), 400)
    assert "2 things need fixing" in page


def test_a_route_is_added_changed_and_removed(owner, project):
    made = channels.add(project, {"name": "List", "kind": "email", "to": ["a@example.com"]})
    told = {
        "severity": ["0", "1"], "features": "returns\nsearch", "hours": "some", "day": ["1", "2", "3", "4", "5"],
        "start": "09:00", "end": "18:00", "when": "after", "after_minutes": "15",
    }  # fmt: skip
    page = text(owner.post(f"{P}{made.id}/route/", told, follow=True))
    assert "P0 and P1 of returns, search" in page
    assert "Mon–Fri 09:00–18:00, when nobody acknowledged for 15 min" in page

    row = Route.objects.latest("pk")
    page = text(owner.get(f"{P}routes/{row.pk}/"))
    assert 'value="15"' in page
    assert "Minutes: is no whole number" in text(
        owner.post(f"{P}routes/{row.pk}/", {**told, "after_minutes": "soon"}), 400
    )
    assert "names no day" in text(owner.post(f"{P}routes/{row.pk}/", {**told, "day": []}), 400)
    owner.post(f"{P}routes/{row.pk}/", {"when": "now", "hours": "all"})
    row.refresh_from_db()
    assert (row.severities, row.hours, row.after_minutes) == ([], {}, None)
    owner.post(f"{P}routes/{row.pk}/remove/")
    assert Route.objects.count() == 1


def test_how_it_tells_is_changed_and_the_address_is_never_shown(owner, project):
    with time_machine.travel(clock.now()):
        answer = owner.post(
            f"{P}telling/",
            {"group_seconds": "30", "repeat_minutes": "", "alive_seconds": "60", "alive_url": "https://hc.invalid/me"},
        )
    assert answer.status_code == 302
    row = NoticeSettings.objects.get()
    assert (row.group_seconds, row.repeat_minutes) == (30, None)
    assert "hc.invalid" not in text(owner.get(f"{P}telling/"))
    assert "Seconds to wait: is out of range" in text(
        owner.post(f"{P}telling/", {"group_seconds": "9999", "repeat_minutes": "240", "alive_seconds": "60"}), 400
    )
    owner.post(
        f"{P}telling/", {"group_seconds": "0", "repeat_minutes": "60", "alive_seconds": "60", "no_alive_url": "on"}
    )
    row.refresh_from_db()
    assert (row.group_seconds, row.alive_url) == (0, "")


@pytest.mark.parametrize("act", ["", "switch/", "rotate/", "remove/", "routes/new/"])
def test_a_channel_that_somebody_puts_away_meanwhile_is_not_there(owner, project, monkeypatch, act):
    made = channels.add(project, {"name": "Hook", "kind": "webhook", "url": "https://hook.example/x"})
    find = pages._find

    def put_away_after(project, channel_id):
        row = find(project, channel_id)
        channels.archive(project, channel_id)
        return row

    monkeypatch.setattr(pages, "_find", put_away_after)

    answer = owner.post(f"{P}{made.id}/{act}", {"name": "Hook", "kinds": "opened"})

    assert answer.status_code in ({400, 404} if act == "routes/new/" else {404})


def test_silences_are_made_by_engineers_and_ended(owner, project, bob, sign_in):
    monitor = incident_of(project).members.get().monitor
    told = {"hours": "4", "monitor": [str(monitor.pk)], "severity": ["2"], "reason": "Load test <b>"}
    assert "P2 from Errors" in text(owner.post(f"{SILENCES}new/", told, follow=True))
    row = Silence.objects.get()
    assert row.end_at - row.start_at < timedelta(hours=4, minutes=1)
    assert "is past" in text(
        owner.post(f"{SILENCES}new/", {"hours": "", "until": "2020-01-01T10:00", "reason": "x"}), 400
    )
    assert "is no time" in text(owner.post(f"{SILENCES}new/", {"hours": "", "until": "", "reason": "x"}), 400)

    looker = sign_in(bob)
    page = text(looker.get(SILENCES))
    assert "Load test &lt;b&gt;" in page
    assert "End now" not in page
    assert looker.post(f"{SILENCES}{row.pk}/end/").status_code == 403
    owner.post(f"{SILENCES}{row.pk}/end/")
    assert "No silence" in text(owner.get(SILENCES))


def test_the_log_shows_what_was_told_and_tried_and_is_filtered_and_exported(owner, project, receiver):
    channels.add(project, {"name": "Hook", "kind": "webhook", "url": receiver.url})
    receiver.plan = [(503, {}, 0)]
    tell_project(
        project.pk, "budget", "budget:1", severity=2, facts={"title": "Month", "words": "<i>80 %</i> is spent."}
    )
    routing.route_due()
    delivering.deliver_due()
    row = Delivery.objects.get()

    page = text(owner.get(LOG))
    assert "P2 Shop: Month" in page
    assert "Trying again" in page
    assert "503" in page
    one = text(owner.get(f"{LOG}{row.pk}/"))
    assert "&lt;i&gt;80 %" in one
    assert str(row.transition_id) in one
    assert "No message fits" in text(owner.get(f"{LOG}?state=delivered"))
    assert "P2 Shop: Month" in text(owner.get(f"{LOG}?state=waiting&kind=budget&channel={row.channel_id}"))
    assert "No message fits" in text(owner.get(f"{LOG}?incident=INC-7"))
    csv = b"".join(owner.get(f"{LOG}?format=csv").streaming_content).decode()
    assert "P2 Shop: Month" in csv
    assert "It is tried again" in text(owner.post(f"{LOG}{row.pk}/retry/", follow=True))
    delivering.deliver_due()
    assert "Delivered" in text(owner.get(f"{LOG}{row.pk}/"))


def test_viewers_read_and_change_nothing(project, bob, sign_in):
    made = channels.add(project, {"name": "List", "kind": "email", "to": ["a@example.com"]})
    looker = sign_in(bob)

    page = text(looker.get(P))
    assert "List" in page
    assert "Send a test message" not in page
    for path in (f"{P}new/", f"{P}{made.id}/", f"{P}telling/", f"{P}{made.id}/route/"):
        assert looker.get(path).status_code == 403
    assert looker.post(f"{P}{made.id}/test/").status_code == 403


def test_pages_keep_their_number_of_queries(owner, project, django_assert_max_num_queries):
    def count(path):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as told:
            assert owner.get(path).status_code == 200
        return len(told)

    channels.add(project, {"name": "A", "kind": "email", "to": ["a@example.com"]})
    tell_project(project.pk, "budget", "budget:0", facts={"words": "x"})
    routing.route_due()
    owner.get(P)
    before = [count(path) for path in (P, LOG, SILENCES)]
    for number in range(1, 6):
        channels.add(project, {"name": f"A{number}", "kind": "email", "to": ["a@example.com"]})
        tell_project(project.pk, "budget", f"budget:{number}", facts={"words": "x"})
    routing.route_due()
    assert Delivery.objects.count() > 5

    assert [count(path) for path in (P, LOG, SILENCES)] == before


def test_a_stranger_gets_what_nobody_gets(project, charlie, sign_in):
    stranger = sign_in(charlie)
    for path in (P, LOG, SILENCES, f"{P}telling/"):
        assert stranger.get(path).status_code == 404
    assert not ProjectMember.objects.filter(user=charlie).exists()
