"""One transition, one id, told until it is there: whatever the receiver answers, and whoever is killed meanwhile."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from datetime import timedelta
from itertools import pairwise

import pytest
import time_machine
from django.core import mail as outbox
from django.db import connection
from django.db.models import Min

from alerts import delivering, grouping, reminding, routing
from alerts.addressing import channels, routes, silences
from alerts.models import Attempt, Channel, Delivery, IncidentWatcher, Transition
from alerts.notifying import tell, tell_project
from alerts.write import notices as write
from alerts.write.notices import Target
from telltale.lib import clock, egress
from tests.alerts.incident_kit import alarm_of, incident_of, monitor_of
from tests.alerts.receiver_kit import Receiver
from traces import changelog

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def loopback(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.TELLTALE_PUBLIC_URL = "https://t.example"
    quick = egress.Limits(connect_seconds=0.5, read_seconds=0.2, total_seconds=0.5)
    monkeypatch.setattr(delivering, "LIMITS", quick)
    monkeypatch.setattr(delivering, "TEST_LIMITS", quick)
    # The dice stand still: pauses are exactly as documented.
    monkeypatch.setattr("alerts.notices.answers.JITTER", 0.0)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def webhook_to(project, url, name="On call", **more):
    return channels.add(project, {"name": name, "kind": "webhook", "url": url, **more})


def go():
    """What the worker does every two seconds, without its threads."""
    reminding.remind()
    routing.route_due()
    return delivering.deliver_due()


class Clock:
    """Time that stands still until it is moved; leases of the database's own clock are let go of."""

    def __init__(self, traveller):
        self._traveller = traveller

    def move(self, **by):
        self._traveller.shift(timedelta(**by))

    def go_until(self, end):
        """Do what is due, whenever something is, up to `end`."""
        while (due := Delivery.objects.filter(state="waiting").aggregate(at=Min("next_at"))["at"]) and due <= end:
            self._traveller.move_to(max(due, clock.now()))
            go()
        self._traveller.move_to(end)


@pytest.fixture
def time():
    with time_machine.travel(clock.now(), tick=False) as traveller:
        yield Clock(traveller)


def test_an_incident_is_told_once_with_a_signature_that_verifies(project, receiver, time):
    made = webhook_to(project, receiver.url)
    incident = incident_of(project, feature="returns")

    go()
    assert receiver.got == []  # alarms of the same trouble still have time to come

    time.move(seconds=21)
    go()
    go()

    ((_, headers, body),) = receiver.got
    told = Transition.objects.get(incident=incident)
    assert headers["webhook-id"] == str(told.pk)
    raw = base64.b64decode(made.signing_key.removeprefix("whsec_"))
    signed = f"{told.pk}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    data = json.loads(body)["data"]
    assert data["incident"]["ref"] == f"INC-{incident.number}"
    assert data["url"] == f"https://t.example/p/shop/incidents/{incident.number}/"
    row = Delivery.objects.get()
    assert (row.state, row.status, row.attempts) == ("delivered", 204, 1)


POINT = """
    INSERT INTO alerts_point (
        monitor_id, chart_no, start_at, end_at, project_id, n, value, low, high, phase, state, decided_at
    )
    SELECT monitor_id, chart_no, window_start, window_end, project_id, 412, value, 0.051, 0.088, 2, 'out', now()
    FROM alerts_alarm
"""


def test_a_message_says_by_how_much_with_the_interval_of_the_window_and_the_change_before_it(project, receiver, time):
    webhook_to(project, receiver.url)
    deploy = {"kind": "deploy", "version": "1.8.2", "at": (clock.now() - timedelta(hours=3)).isoformat()}
    changelog.put_changes(project, [deploy], changelog.By())
    incident_of(project, feature="returns")
    with connection.cursor() as cursor:
        cursor.execute(POINT)
    time.move(seconds=21)
    go()

    data = receiver.bodies[0]["data"]
    assert "6.9% (95% CI 5.1%–8.8%), n = 412" in data["summary"]
    assert data["moved"][0]["false_alarms_expected_a_week"] == pytest.approx(0.168)
    assert "1.8.2" in data["last_change"]["title"]
    lines = {line["label"]: line["value"] for line in data["lines"]}
    assert lines["This monitor alarms"] == "about once in 42 days by chance alone"


def test_a_thousand_alarms_of_one_trouble_are_one_message(project, receiver, time):
    webhook_to(project, receiver.url)
    monitors = [monitor_of(project, f"Errors of {n}", feature=f"f{n}") for n in range(20)]
    for monitor in monitors:
        alarm_of(monitor)
    grouping.take_alarms([project.pk])
    time.move(seconds=21)
    go()
    alarm_of(monitor_of(project, "Errors of all"), ago=0.9)
    grouping.take_alarms([project.pk])
    time.move(seconds=60)
    go()

    assert len(receiver.got) == 1
    assert receiver.bodies[0]["data"]["alarms"] == 20


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param((500, {}, 0), id="500"),
        pytest.param((503, {}, 0), id="503"),
        pytest.param((404, {}, 0), id="404"),
        pytest.param((200, {}, 0.4), id="slow"),
        pytest.param((302, {"Location": "http://127.0.0.1:1/"}, 0), id="redirect"),
    ],
)
def test_a_receiver_that_fails_for_an_hour_gets_it_once_after_with_the_same_id(project, receiver, time, answer):
    webhook_to(project, receiver.url)
    receiver.plan = [answer] * 100
    incident_of(project)
    start = clock.now()
    time.move(seconds=21)
    go()
    time.go_until(start + timedelta(hours=1))
    failed = len(receiver.got)
    assert 5 <= failed <= 12

    receiver.plan = []
    time.go_until(start + timedelta(hours=1, minutes=31))

    assert len(receiver.got) == failed + 1
    assert len(set(receiver.ids)) == 1
    assert len({body for _, _, body in receiver.got}) == 1  # frozen: each attempt says the same
    row = Delivery.objects.get()
    assert (row.state, row.attempts) == ("delivered", failed + 1)
    attempts = list(Attempt.objects.order_by("number"))
    assert [one.number for one in attempts] == list(range(1, failed + 2))
    waits = [b.at - a.at for a, b in pairwise(attempts)]
    assert waits == sorted(waits)
    channel = Channel.objects.get()
    assert (channel.failing_since, channel.error, channel.paused_until) == (None, "", None)


def test_a_receiver_that_nobody_listens_at_is_tried_again(project, time):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    webhook_to(project, f"http://127.0.0.1:{port}/")
    incident_of(project)
    time.move(seconds=21)
    go()

    row = Delivery.objects.get()
    assert (row.state, row.status) == ("waiting", None)
    assert "refused the connection" in row.error
    assert row.next_at == clock.now() + timedelta(seconds=5)


def test_retry_after_is_waited_for_by_everything_to_that_channel_and_by_nothing_else(project, receiver, time):
    other = Receiver()
    webhook_to(project, receiver.url)
    webhook_to(project, other.url, name="Other")
    receiver.plan = [(429, {"Retry-After": "90"}, 0)]
    tell_project(project.pk, "budget", "budget:1", facts={"words": "80 % is spent."})
    go()
    tell_project(project.pk, "budget", "budget:2", facts={"words": "100 % is spent."})
    for _ in range(8):
        time.move(seconds=10)
        go()
    assert len(receiver.got) == 1
    assert len(other.got) == 2

    time.move(seconds=11)
    go()
    other.close()

    assert len(receiver.got) == 3
    assert receiver.ids[0] == receiver.ids[1] != receiver.ids[2]
    assert Delivery.objects.filter(state="delivered").count() == 4


def test_messages_of_one_incident_keep_their_order_while_the_first_waits(project, receiver, time):
    webhook_to(project, receiver.url)
    receiver.plan = [(500, {}, 0)]
    incident = incident_of(project)
    time.move(seconds=21)
    go()
    tell(incident, "acknowledged", f"inc:{incident.pk}:r1:ack", facts={"by": "Mara"})
    time.move(seconds=1)
    tell(incident, "resolved", f"inc:{incident.pk}:r1:resolved", facts={"by": "Mara"})
    go()
    time.move(seconds=10)
    go()

    assert [body["type"] for body in receiver.bodies] == [
        "incident.opened", "incident.opened", "incident.acknowledged", "incident.resolved",
    ]  # fmt: skip


def test_that_it_began_is_told_first_where_somebody_acknowledges_at_once(project, receiver, time):
    webhook_to(project, receiver.url)
    incident = incident_of(project)
    time.move(seconds=3)
    tell(incident, "acknowledged", f"inc:{incident.pk}:r1:ack", facts={"by": "Mara"})
    go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened", "incident.acknowledged"]


def test_a_message_that_is_refused_for_what_it_holds_keeps_no_other_waiting(project, receiver, time):
    webhook_to(project, receiver.url)
    receiver.plan = [(400, {}, 0)]
    incident = incident_of(project)
    time.move(seconds=21)
    go()
    tell(incident, "resolved", f"inc:{incident.pk}:r1:resolved")
    go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened", "incident.resolved"]
    assert sorted(Delivery.objects.values_list("state", flat=True)) == ["delivered", "waiting"]


def test_after_a_day_it_is_given_up_and_shown_and_a_person_may_try_again(project, receiver, time):
    webhook_to(project, receiver.url)
    receiver.plan = [(500, {}, 0)] * 50
    incident = incident_of(project)
    for _ in range(14):
        time.move(hours=2)
        go()
    row = Delivery.objects.get(transition__kind="opened")
    assert row.state == "failed"
    assert row.ended_at - row.created_at < timedelta(hours=26)
    assert incident.events.filter(kind="not_told").exists()

    receiver.plan = []
    assert delivering.retry_now(project, row.pk)
    go()

    row.refresh_from_db()
    assert row.state == "delivered"
    assert not delivering.retry_now(project, row.pk)


def test_a_process_that_is_killed_while_sending_repeats_with_the_same_id(project, receiver, time):
    webhook_to(project, receiver.url)
    incident_of(project)
    time.move(seconds=21)
    routing.route_due()
    held = write.claim(Target(channel_id=Channel.objects.get().pk), clock.now(), delivering.LEASE_SECONDS)
    delivering._send(held, delivering.LIMITS)  # sent, and killed before a word of it was written
    go()
    assert len(receiver.got) == 1  # its lease holds

    Delivery.objects.update(leased_until=clock.now() - timedelta(days=1))
    go()

    assert len(receiver.got) == 2
    assert len(set(receiver.ids)) == 1
    first, second = Attempt.objects.order_by("number")
    assert "ended before" in first.error
    assert (second.status, second.error) == (204, "")
    # Who comes back from the dead changes nothing.
    delivering.attempt(held, delivering.LIMITS)
    assert Delivery.objects.get().attempts == 2


def test_routing_twice_makes_one_delivery(project, receiver, time):
    webhook_to(project, receiver.url)
    told = tell_project(project.pk, "budget", "budget:1", facts={"words": "80 % is spent."})
    routing.route_due()
    told.refresh_from_db()
    routing.route(told)
    go()

    assert len(receiver.got) == 1


def test_where_nobody_is_told_the_log_says_why(project, receiver, time):
    tell_project(project.pk, "budget", "budget:1", facts={"words": "80 % is spent."})
    go()
    webhook_to(project, receiver.url, with_route=False)
    tell_project(project.pk, "budget", "budget:2", facts={"words": "100 % is spent."})
    go()

    rows = Delivery.objects.order_by("pk")
    assert [row.state for row in rows] == ["dropped", "dropped"]
    assert "no channel" in rows[0].error
    assert "no route" in rows[1].error


def test_severity_feature_and_hours_lead_to_channels(project, receiver, time):
    made = webhook_to(project, receiver.url, with_route=False)
    routes.add(project, {"channel": made.id, "severities": [0, 1], "features": ["returns"]})
    incident_of(project, severity=1, feature="search")
    incident_of(project, name="B", metric="latency_p95", severity=2, feature="returns")
    fits = incident_of(project, name="C", metric="cost_per_request", severity=1, feature="returns")
    time.move(seconds=21)
    go()

    assert {body["data"]["incident"]["number"] for body in receiver.bodies} <= {fits.number}


def test_nobody_acknowledges_so_a_second_person_is_told_and_then_of_what_follows(project, receiver, time):
    second = Receiver()
    webhook_to(project, receiver.url)
    made = webhook_to(project, second.url, name="Second", with_route=False)
    routes.add(project, {"channel": made.id, "after_minutes": 15})
    incident = incident_of(project)
    time.move(seconds=21)
    go()
    time.move(minutes=14)
    go()
    assert second.got == []

    time.move(minutes=2)
    go()
    go()
    assert [body["type"] for body in second.bodies] == ["incident.unacknowledged"]
    incident.state = "resolved"
    incident.save()
    tell(incident, "resolved", f"inc:{incident.pk}:r1:resolved")
    go()
    second.close()

    assert [body["type"] for body in second.bodies] == ["incident.unacknowledged", "incident.resolved"]
    assert [body["type"] for body in receiver.bodies] == ["incident.opened", "incident.resolved"]


def test_an_incident_that_somebody_acknowledged_is_not_escalated_nor_repeated(project, receiver, time):
    made = webhook_to(project, receiver.url)
    routes.add(project, {"channel": made.id, "after_minutes": 15})
    incident = incident_of(project)
    time.move(seconds=21)
    go()
    incident.state = "acknowledged"
    incident.save()
    time.move(hours=9)
    go()

    assert len(receiver.got) == 1


def test_an_incident_that_nobody_acknowledges_is_told_again_every_four_hours(project, receiver, time):
    webhook_to(project, receiver.url)
    incident_of(project)
    for _ in range(3 * 9):
        time.move(minutes=20)
        go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened", "incident.repeat", "incident.repeat"]


def silence(project, **more):
    return silences.add(project, {"end_at": clock.now() + timedelta(hours=1), "reason": "Deploy", **more})


def test_what_is_silenced_is_told_when_the_silence_ends_and_it_still_goes_on(project, receiver, time):
    webhook_to(project, receiver.url)
    silence(project)
    incident = incident_of(project)
    for _ in range(5):
        time.move(minutes=10)
        go()
    assert receiver.got == []
    assert Delivery.objects.get().state == "silenced"

    for _ in range(4):
        time.move(minutes=10)
        go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened"]
    assert receiver.ids == [str(Transition.objects.get(incident=incident).pk)]


def test_what_is_over_when_the_silence_ends_is_told_to_nobody(project, receiver, time):
    webhook_to(project, receiver.url)
    held = silence(project)
    incident = incident_of(project)
    time.move(seconds=21)
    go()
    incident.state = "resolved"
    incident.save()
    silences.end(project, held)
    go()

    assert receiver.got == []
    assert Delivery.objects.get().ended_at is not None


def test_what_ended_is_told_to_those_who_were_told_that_it_began_whatever_is_silenced(project, receiver, time):
    webhook_to(project, receiver.url)
    incident = incident_of(project)
    time.move(seconds=21)
    go()
    silence(project)
    tell(incident, "overdue", f"inc:{incident.pk}:r1:overdue:triage")
    tell(incident, "resolved", f"inc:{incident.pk}:r1:resolved")
    go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened", "incident.resolved"]


def test_what_begins_is_told_though_an_escalation_held_after_it_is_over(project, receiver, time):
    made = webhook_to(project, receiver.url)
    routes.add(project, {"channel": made.id, "after_minutes": 15})
    silence(project)
    incident = incident_of(project)
    for minutes in (1, 20):
        time.move(minutes=minutes)
        go()
    assert list(Delivery.objects.order_by("pk").values_list("transition__kind", "state")) == [
        ("opened", "silenced"), ("unacknowledged", "silenced"),
    ]  # fmt: skip
    incident.state = "acknowledged"
    incident.save()

    time.move(hours=1)
    go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened"]
    assert not Delivery.objects.filter(ended_at=None).exists()


def test_a_silence_of_one_monitor_holds_back_nothing_of_another(project, receiver, time):
    webhook_to(project, receiver.url)
    incident = incident_of(project, feature="returns")
    silence(project, monitors=[incident.members.get().monitor_id])
    other = incident_of(project, name="Cost", metric="cost_per_request", feature="search")
    time.move(seconds=21)
    go()

    assert [body["data"]["incident"]["number"] for body in receiver.bodies] == [other.number]


def test_a_muted_incident_tells_nobody_until_it_gets_worse(project, receiver, time):
    webhook_to(project, receiver.url)
    incident = incident_of(project)
    incident.muted_until_worse = True
    incident.save()
    time.move(seconds=21)
    go()
    assert receiver.got == []
    assert Delivery.objects.get().state == "muted"

    incident.severity = 0
    incident.save()
    tell(incident, "worse", f"inc:{incident.pk}:r1:worse:0")
    go()

    assert [body["type"] for body in receiver.bodies] == ["incident.worse"]


def test_watchers_are_mailed_while_they_are_in_the_project(project, bob, charlie, time, settings):
    settings.TELLTALE_SMTP_URL = ""
    incident = incident_of(project)
    for person in (bob, charlie):
        IncidentWatcher.objects.create(incident=incident, user=person, since=clock.now())
    time.move(seconds=21)
    go()

    row = Delivery.objects.get()
    assert (row.user, row.state) == (bob, "delivered")
    assert "no mail server" in row.ref


def test_who_acts_is_not_told_of_it_by_mail(project, alice, bob, time, settings):
    settings.TELLTALE_SMTP_URL = ""
    incident = incident_of(project)
    for person in (alice, bob):
        IncidentWatcher.objects.create(incident=incident, user=person, since=clock.now())
    Transition.objects.all().delete()
    incident.acknowledged_by = alice
    incident.save()
    tell(incident, "acknowledged", f"inc:{incident.pk}:r1:ack", facts={"by": "Alice"})
    go()

    assert Delivery.objects.get().user == bob


@pytest.mark.parametrize(
    ("shut", "words"),
    [({"is_on": False}, "The channel was switched off."), ({"archived_at": clock.now()}, "The channel was put away.")],
)
def test_what_is_made_for_a_channel_shut_at_the_same_moment_ends_with_a_reason(project, receiver, time, shut, words):
    webhook_to(project, receiver.url)
    incident_of(project)
    time.move(seconds=21)
    routing.route_due()
    # As if it was shut after the route was read and before the delivery was written.
    Channel.objects.update(**shut)

    go()
    reminding.remind()

    row = Delivery.objects.get()
    assert (row.state, row.error, row.ended_at) == ("dropped", words, clock.now())
    assert receiver.got == []


def test_a_route_with_hours_is_read_where_its_zone_is_no_more(project, receiver, time):
    project.time_zone = "Nowhere/Gone"
    project.save()
    made = webhook_to(project, receiver.url, with_route=False)
    hours = {"days": [1, 2, 3, 4, 5, 6, 7], "start": "00:00", "end": "24:00"}
    routes.add(project, {"channel": made.id, "hours": hours})
    routes.add(project, {"channel": made.id, "hours": hours, "after_minutes": 15})
    incident_of(project)
    for minutes in (1, 20):
        time.move(minutes=minutes)
        go()

    assert [body["type"] for body in receiver.bodies] == ["incident.opened", "incident.unacknowledged"]


def test_mail_goes_by_the_installations_server_with_one_id_for_every_attempt(project, time, settings, monkeypatch):
    settings.TELLTALE_SMTP_URL = "smtp://mail.example:25"
    sent = []

    class Server:
        def send_within(self, messages, seconds):
            assert seconds + 5 < delivering.LEASE_SECONDS
            sent.extend(messages)
            if len(sent) == 1:
                raise ConnectionRefusedError
            return len(messages)

    monkeypatch.setattr("telltale.accounts.mail.smtp_backend", lambda url: Server())
    channels.add(project, {"name": "List", "kind": "email", "to": ["on-call@example.com", "ops@example.com"]})
    incident_of(project)
    time.move(seconds=21)
    go()
    time.move(seconds=6)
    go()

    first, second = sent
    assert first.extra_headers["Message-ID"] == second.extra_headers["Message-ID"]
    assert second.to == ["on-call@example.com", "ops@example.com"]
    assert second.message()["Subject"].startswith("[Shop] P2 INC-1 opened:")
    assert "text/html" in second.message().as_string()
    assert Delivery.objects.get().state == "delivered"
    assert outbox.outbox == []


def test_a_test_message_answers_with_what_came_of_it_and_is_never_tried_again(project, receiver, time):
    made = webhook_to(project, receiver.url)
    receiver.plan = [(401, {}, 0)]

    refused = delivering.send_test(project, made.id, token="a")
    taken = delivering.send_test(project, made.id, token="b")

    assert (refused.is_delivered, refused.status) == (False, 401)
    assert "key" in refused.words
    assert taken.is_delivered
    assert [row.state for row in Delivery.objects.order_by("pk")] == ["failed", "delivered"]
    assert [body["type"] for body in receiver.bodies] == ["test", "test"]
    assert delivering.send_test(project, made.id + 1, token="c") is None


def test_addresses_that_rules_refuse_are_never_connected_to(project, receiver, time, settings):
    webhook_to(project, receiver.url)
    settings.TELLTALE_EGRESS_ALLOW = []
    incident_of(project)
    time.move(seconds=21)
    go()

    assert receiver.got == []
    row = Delivery.objects.get()
    assert row.state == "waiting"
    assert "refused" in row.error


def test_a_secret_that_cannot_be_opened_says_so_and_what_was_told_meanwhile_waits(project, receiver, time, settings):
    webhook_to(project, receiver.url)
    settings.SECRET_KEY = "another-" + "k" * 40
    incident_of(project)
    time.move(seconds=21)
    go()

    assert "Enter it again" in Delivery.objects.get().error


def test_a_channel_that_is_switched_off_drops_what_waits_and_says_so(project, receiver, time):
    made = webhook_to(project, receiver.url)
    receiver.plan = [(500, {}, 0)]
    incident_of(project)
    time.move(seconds=21)
    go()
    channels.change(project, made.id, {"is_on": False})
    time.move(minutes=5)
    go()

    assert len(receiver.got) == 1
    row = Delivery.objects.get()
    assert (row.state, row.error) == ("dropped", "The channel was switched off.")


def test_what_was_given_up_is_not_tried_again_at_a_channel_that_takes_nothing(project, receiver, time):
    webhook_to(project, receiver.url)
    receiver.plan = [(500, {}, 0)] * 50
    incident_of(project)
    for _ in range(14):
        time.move(hours=2)
        go()
    row = Delivery.objects.get(transition__kind="opened")
    assert row.state == "failed"

    Channel.objects.update(is_on=False)
    assert not delivering.retry_now(project, row.pk)
    Channel.objects.update(is_on=True)
    channels.archive(project, Channel.objects.get().pk)
    assert not delivering.retry_now(project, row.pk)
    row.refresh_from_db()
    assert row.state == "failed"


def test_what_cannot_be_routed_keeps_nothing_else_waiting(project, receiver, time, monkeypatch):
    webhook_to(project, receiver.url)
    bad = tell_project(project.pk, "budget", "budget:1")
    tell_project(project.pk, "budget", "budget:2")
    real = routing.read_about

    def read_about(row):
        if row.pk == bad.pk:
            raise KeyError("no time zone found")
        return real(row)

    monkeypatch.setattr(routing, "read_about", read_about)
    go()
    assert len(receiver.got) == 1

    monkeypatch.setattr(routing, "read_about", real)
    time.move(minutes=2)
    go()
    assert len(receiver.got) == 2


def test_a_webhook_that_lost_its_signing_key_sends_nothing_unsigned(project, receiver, time):
    webhook_to(project, receiver.url)
    row = Channel.objects.get()
    row.secret = "sealed by another key"
    row.save()
    channels.change(project, row.pk, {"url": receiver.url})

    tested = delivering.send_test(project, row.pk, token="1")
    assert (tested.is_delivered, receiver.got) == (False, [])
    assert "signing key" in tested.words

    channels.rotate(project, row.pk)
    assert delivering.send_test(project, row.pk, token="2").is_delivered
