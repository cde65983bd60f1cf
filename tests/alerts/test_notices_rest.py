"""Channels, routes, silences and the log through REST: what a page does, by the same rules."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.test import Client

from alerts import delivering, routing
from alerts.models import Channel, Delivery
from alerts.notifying import tell_project
from telltale.audit.models import AuditEntry
from telltale.lib import clock, egress
from telltale.projects.keys import make_key
from tests.alerts.receiver_kit import Receiver

pytestmark = pytest.mark.django_db
SLACK = "https://hooks.slack.com/services/T00/B00/very-secret-part"


@pytest.fixture
def api(project):
    secret = make_key(project, "Admin", ("read", "write", "admin")).secret
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def call(method, path, body=None):
        answer = client.generic(
            method,
            f"/api/v1/{path}",
            data=orjson.dumps(body) if body is not None else b"",
            content_type="application/json",
        )
        return answer.status_code, answer.json() if answer.content else None

    return call


@pytest.fixture(autouse=True)
def no_names(monkeypatch):
    """Names are not asked for: addresses that name a host pass as long as nothing is sent."""
    real = egress._resolve

    def resolve(place, seconds):
        if place.host[0].isdigit():
            return real(place, seconds)
        raise egress.Unreachable("no network")

    monkeypatch.setattr(egress, "_resolve", resolve)


def test_a_channel_is_added_changed_and_put_away_and_its_secret_is_never_shown(api, project):
    status, made = api("POST", "channels", {"name": "Ops", "kind": "slack", "url": SLACK})
    assert status == 201
    assert (made["host"], made["url"], made["secret_hint"], made["state"]) == ("hooks.slack.com", None, "…part", "new")
    assert [route["severities"] for route in made["routes"]] == [[]]

    status, changed = api("PATCH", f"channels/{made['id']}", {"name": "Ops room", "is_on": False})
    assert (status, changed["name"], changed["state"]) == (200, "Ops room", "off")
    assert api("DELETE", f"channels/{made['id']}")[0] == 204
    assert api("GET", f"channels/{made['id']}")[1]["state"] == "archived"
    assert Channel.objects.get().secret == ""

    told = "".join(str(value) for value in AuditEntry.objects.values_list("before", "after", "target"))
    assert "very-secret" not in told
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-3:] == ["channel.add", "channel.change", "channel.archive"]


def test_the_database_holds_no_secret_in_the_clear(api):
    api("POST", "channels", {"name": "Ops", "kind": "slack", "url": SLACK})
    api("POST", "channels", {"name": "Pager", "kind": "pagerduty", "key": "R0UTINGKEY" * 3})
    api("PATCH", "notices/settings", {"alive_url": "https://hc.example/ping-secret"})

    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT c::text FROM alerts_channel AS c UNION SELECT s::text FROM alerts_noticesettings AS s")
        rows = "".join(row[0] for row in cursor.fetchall())
    assert "very-secret" not in rows
    assert "R0UTINGKEY" not in rows
    assert "ping-secret" not in rows


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "kind": "slack", "url": SLACK}, "name"),
        ({"name": "a\u0007b", "kind": "slack", "url": SLACK}, "name"),
        ({"name": "A", "kind": "fax"}, "kind"),
        ({"name": "A", "kind": "slack"}, "url"),
        ({"name": "A", "kind": "slack", "url": "http://169.254.169.254/"}, "url"),
        ({"name": "A", "kind": "slack", "url": "http://127.0.0.1:1/"}, "url"),
        ({"name": "A", "kind": "webhook", "url": "https://user:pw@example.com/"}, "url"),
        ({"name": "A", "kind": "webhook", "url": "file:///etc/passwd"}, "url"),
        ({"name": "A", "kind": "pagerduty"}, "key"),
        ({"name": "A", "kind": "pagerduty", "key": "a\nb"}, "key"),
        ({"name": "A", "kind": "email"}, "to"),
        ({"name": "A", "kind": "email", "to": ["a@example.com", "b@example.com\nBcc: c@example.com"]}, "to[1]"),
        ({"name": "A", "kind": "email", "to": ["a@example.com"], "url": SLACK}, "url"),
        ({"name": "A", "kind": "slack", "url": SLACK, "colour": "red"}, "colour"),
    ],
)
def test_what_cannot_be_a_channel_is_refused_with_the_field(api, body, field):
    status, answer = api("POST", "channels", body)

    assert status == 400
    assert field in [error["field"] for error in answer["errors"]]
    assert not Channel.objects.exists()
    assert "very-secret" not in str(answer)


def test_a_key_goes_only_to_the_host_it_was_entered_for(api):
    made = api("POST", "channels", {"name": "Pager", "kind": "pagerduty", "key": "k" * 32})[1]
    europe = "https://events.eu.pagerduty.com/v2/enqueue"

    status, answer = api("PATCH", f"channels/{made['id']}", {"url": europe})
    assert (status, answer["errors"][0]["field"]) == (400, "key")
    assert api("PATCH", f"channels/{made['id']}", {"url": europe, "key": "n" * 32})[1]["url"] == europe


def test_a_webhook_s_key_is_shown_once_and_replaced_with_a_day_of_both(api, project, settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    receiver = Receiver()
    made = api("POST", "channels", {"name": "Hook", "kind": "webhook", "url": receiver.url})[1]
    assert made["signing_key"].startswith("whsec_")
    assert "signing_key" not in api("GET", f"channels/{made['id']}")[1]

    status, answer = api("POST", f"channels/{made['id']}/rotate")
    assert status == 200
    assert answer["signing_key"] != made["signing_key"]
    status, tested = api("POST", f"channels/{made['id']}/test")
    receiver.close()

    assert (status, tested["is_delivered"], tested["status"]) == (200, True, 204)
    assert len(receiver.got[0][1]["webhook-signature"].split(" ")) == 2


def test_routes_and_their_refusals(api):
    channel = api("POST", "channels", {"name": "Ops", "kind": "slack", "url": SLACK, "with_route": False})[1]["id"]
    hours = {"days": [1, 5], "start": "09:00", "end": "18:00"}
    status, made = api("POST", "routes", {"channel": channel, "severities": [1, 0, 1], "hours": hours})
    assert (status, made["severities"], made["hours"], made["after_minutes"]) == (201, [0, 1], hours, None)
    assert api("PATCH", f"routes/{made['id']}", {"after_minutes": 15, "hours": None})[1]["hours"] is None

    for body, field in (
        ({"severities": [4]}, "severities.0"), ({"hours": {"start": "25:00", "end": "26:00"}}, "hours.start"),
        ({"after_minutes": 0}, "after_minutes"), ({"kinds": ["test"]}, "kinds.0"), ({}, "severities"),
    ):  # fmt: skip
        status, answer = api("PATCH", f"routes/{made['id']}", body)
        assert (status, answer["errors"][0]["field"]) == (400, field)
    assert api("POST", "routes", {"channel": "987654321"})[0] == 404
    assert api("DELETE", f"routes/{made['id']}")[0] == 204
    assert api("GET", f"routes/{made['id']}")[0] == 404


def test_silences_begin_and_end(api):
    end = (clock.now() + timedelta(hours=2)).isoformat()
    status, made = api("POST", "silences", {"end_at": end, "severities": [3], "reason": "Load test"})
    assert (status, made["state"], made["severities"]) == (201, "on", [3])
    assert [row["id"] for row in api("GET", "silences?going=true")[1]["items"]] == [made["id"]]

    for body, field in (
        ({"end_at": "2020-01-01T00:00:00Z", "reason": "x"}, "end_at"), ({"end_at": end}, "reason"),
        ({"end_at": "2300-01-01T00:00:00Z", "reason": "x"}, "end_at"),
        ({"end_at": end, "reason": "x", "monitors": ["7"]}, "monitors"),
    ):  # fmt: skip
        status, answer = api("POST", "silences", body)
        assert (status, answer["errors"][0]["field"]) == (400, field)
    assert api("DELETE", f"silences/{made['id']}")[0] == 204
    assert api("GET", f"silences/{made['id']}")[1]["state"] == "over"


def test_the_log_is_filtered_paged_and_tried_again(api, project):
    api("POST", "channels", {"name": "Ops", "kind": "slack", "url": SLACK})
    for number in range(3):
        tell_project(project.pk, "budget", f"budget:{number}", facts={"words": f"{number} is spent."})
    routing.route_due()
    delivering.deliver_due()

    status, page = api("GET", "deliveries?limit=2")
    assert (status, len(page["items"])) == (200, 2)
    cursor = page["next"].split("cursor=")[1].split("&")[0]
    assert len(api("GET", f"deliveries?limit=2&cursor={cursor}")[1]["items"]) == 1
    assert api("GET", "deliveries?state=delivered")[1]["items"] == []
    assert api("GET", "deliveries?incident=INC-7")[1]["items"] == []
    for query, field in (
        ("state=lost", "state"),
        ("incident=x", "incident"),
        ("channel=x", "channel"),
        ("a=1", "query"),
    ):
        status, answer = api("GET", f"deliveries?{query}")
        assert (status, answer["errors"][0]["field"]) == (400, field)

    first = Delivery.objects.order_by("pk").first()
    one = api("GET", f"deliveries/{first.pk}")[1]
    assert (one["state"], one["log"][0]["number"], one["to"]) == ("waiting", 1, "Ops")
    assert "0 is spent." in one["text"]
    assert api("POST", f"deliveries/{first.pk}/retry")[0] == 200
    Delivery.objects.update(state="delivered")
    assert api("POST", f"deliveries/{first.pk}/retry")[0] == 409


def test_how_a_project_tells(api):
    status, found = api("GET", "notices/settings")
    assert (status, found["group_seconds"], found["repeat_minutes"]) == (200, 20, 240)
    changed = api("PATCH", "notices/settings", {"repeat_minutes": None, "alive_url": "https://hc.example/x"})[1]
    assert (changed["repeat_minutes"], changed["alive_url_set"]) == (None, True)
    assert api("PATCH", "notices/settings", {"alive_url": ""})[1]["alive_url_set"] is False
    assert api("PATCH", "notices/settings", {"group_seconds": 1e9})[0] == 400
    assert api("PATCH", "notices/settings", {"alive_url": "http://10.0.0.1/"})[0] == 400
