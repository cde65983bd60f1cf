"""What monitors earned: the report of hand-made records, what is proposed and never is, what people decide of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import time_machine

from alerts import asking, earning, retiring
from alerts.models import Alarm, Incident, IncidentMember, Monitor, Proposal
from alerts.read.questions import list_questions
from alerts.read.worth import get_report, list_proposals
from telltale.audit.models import AuditEntry
from telltale.lib.db import raw_cursor
from telltale.lib.faults import ItemRefused
from tests.alerts.engine_kit import DEFINITION, HOUR, MONDAY, make_monitor
from tests.traces.conftest import room_for_files, shop  # noqa: F401

NOW = MONDAY + timedelta(days=80)
URL = "/p/shop/questions/"


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def monitor_named(shop, name, **fields):  # noqa: F811
    return make_monitor(shop.project, DEFINITION, name=name, **fields)


def draw_points(monitor, zs):
    rows = [
        (monitor.pk, 1, MONDAY + at * HOUR, MONDAY + (at + 1) * HOUR, monitor.project_id, 300, float(z))
        for at, z in enumerate(zs)
    ]
    with raw_cursor() as cursor:
        cursor.executemany(
            "INSERT INTO alerts_point (monitor_id, chart_no, start_at, end_at, project_id, n, z, phase, crossed, "
            "state, decided_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 2, false, 'judged', now())",
            rows,
        )


def incident(shop, number, severity, alarmed, verdict="real"):  # noqa: F811
    """An incident with alarms of monitors so many minutes after it opened."""
    opened = MONDAY + timedelta(days=number)
    row = Incident.objects.create(
        project=shop.project, number=number, title=f"Trouble {number}", severity=severity, opened_at=opened,
        began_at=opened, last_moved_at=opened, verdict=verdict, state="resolved",
    )  # fmt: skip
    for monitor, minutes in alarmed.items():
        alarm = Alarm.objects.create(
            project=shop.project, monitor=monitor, chart_no=1, window_start=opened, window_end=opened + HOUR,
            direction="up", rule="ewma", severity=severity, is_page=True, found_at=opened, state="closed",
            verdict=verdict,
        )  # fmt: skip
        IncidentMember.objects.create(
            project=shop.project, incident=row, kind="alarm", ref=alarm.pk, monitor=monitor, severity=severity,
            is_page=True, joined_at=opened + timedelta(minutes=minutes), began_at=opened,
        )  # fmt: skip


def lines_of(project):
    return {line["name"]: line for line in earning.report(project)["metrics"]}


def test_a_monitor_is_worth_what_would_be_missed_or_late_without_it(shop):  # noqa: F811
    first, second = monitor_named(shop, "First"), monitor_named(shop, "Second")
    incident(shop, 1, 1, {first: 0.0, second: 720.0})  # P1, $1,000; the second was half a day later
    incident(shop, 2, 2, {second: 0.0})  # P2, $300, found alone
    incident(shop, 3, 2, {first: 0.0}, verdict="false")  # no incident; a false page of $40

    lines = lines_of(shop.project)

    assert lines["First"]["benefit"] == pytest.approx(500.0)
    assert lines["First"]["spent"] == pytest.approx(40.0)
    assert lines["First"]["value"] == pytest.approx(460.0)
    assert (lines["First"]["found"], lines["First"]["alone"], lines["First"]["lead_min"]) == (1, 0, 720.0)
    assert lines["Second"]["benefit"] == pytest.approx(300.0)
    assert (lines["Second"]["found"], lines["Second"]["alone"]) == (2, 1)
    assert lines["First"]["low"] <= lines["First"]["value"] <= lines["First"]["high"]


def test_without_a_real_incident_there_is_no_evidence_and_nothing_is_called_useless(shop):  # noqa: F811
    monitor = monitor_named(shop, "Quiet")
    incident(shop, 1, 2, {monitor: 0.0}, verdict="false")

    line = lines_of(shop.project)["Quiet"]

    assert (line["verdict"], line["low"], line["benefit_high"]) == ("no evidence", None, None)
    assert list_proposals(shop.project.pk) == []
    assert "No evidence yet" in shop.alice.get(URL).content.decode()


def twins(shop, noise):  # noqa: F811
    """Two monitors of a year whose residuals go together, and a third that does not."""
    random = np.random.default_rng(7)
    base = random.normal(size=400)
    one, other, alone = (monitor_named(shop, name) for name in ("One", "Other", "Alone"))
    draw_points(one, base)
    draw_points(other, base + noise * random.normal(size=400))
    draw_points(alone, random.normal(size=400))
    return one, other, alone


def test_a_monitor_that_says_the_same_as_another_is_proposed_to_be_merged_into_it(shop):  # noqa: F811
    one, other, _ = twins(shop, noise=0.1)
    incident(shop, 1, 1, {one: 0.0, other: 30.0})

    earning.report(shop.project)

    (row,) = list_proposals(shop.project.pk)
    assert (row.monitor_id, row.kind, row.into_id, row.state) == (other.pk, "merge", one.pk, "open")
    assert "Spearman" in " ".join(row.reasons)


def test_twins_are_proposed_before_there_was_any_incident(shop):  # noqa: F811
    one, other, _ = twins(shop, noise=0.1)

    earning.report(shop.project)

    (row,) = list_proposals(shop.project.pk)
    assert (row.monitor_id, row.into_id) == (other.pk, one.pk)


def test_monitors_that_only_go_along_are_not_twins(shop):  # noqa: F811
    twins(shop, noise=0.6)

    earning.report(shop.project)

    assert list_proposals(shop.project.pk) == []


def test_a_young_one_and_one_of_safety_are_never_proposed(shop):  # noqa: F811
    one, other, _ = twins(shop, noise=0.1)
    Monitor.objects.filter(pk=other.pk).update(created_at=NOW - timedelta(days=59))
    earning.report(shop.project)
    young = list_proposals(shop.project.pk)
    Monitor.objects.filter(pk__in=[one.pk, other.pk]).update(created_at=MONDAY - 365 * 24 * HOUR, metric="toxicity")

    earning.report(shop.project)

    assert [row.monitor_id for row in young] == []
    assert list_proposals(shop.project.pk) == []


def test_what_nobody_used_is_proposed_once_looks_were_counted_for_sixty_days(shop):  # noqa: F811
    unused, looked_at, asked = (monitor_named(shop, name) for name in ("Unused", "Looked at", "Asked"))
    asking.create(shop.project, {"text": "Is it well?", "pillar": "quality", "monitors": [asked.pk]})
    with time_machine.travel(NOW - timedelta(days=30), tick=False):
        asking.seen(shop.project, looked_at.pk)
    earning.report(shop.project)
    before = list_proposals(shop.project.pk)
    with time_machine.travel(NOW - timedelta(days=61), tick=False):
        asking.seen(shop.project, looked_at.pk)

    earning.report(shop.project)

    assert before == []
    (row,) = list_proposals(shop.project.pk)
    assert (row.monitor_id, row.kind) == (unused.pk, "retire")


def test_a_proposal_whose_reason_is_gone_is_taken_back(shop):  # noqa: F811
    _, other, _ = twins(shop, noise=0.1)
    earning.report(shop.project)
    with raw_cursor() as cursor:
        cursor.execute("UPDATE alerts_point SET z = random() WHERE monitor_id = %s", (other.pk,))

    earning.report(shop.project)

    assert [row.state for row in list_proposals(shop.project.pk)] == ["gone"]


def test_retiring_switches_off_gives_the_share_back_and_is_undone_with_one_click(shop):  # noqa: F811
    one, other, alone = twins(shop, noise=0.1)
    key = asking.create(shop.project, {"text": "Is it well?", "pillar": "quality", "monitors": [other.pk, alone.pk]})
    earning.report(shop.project)
    (row,) = list_proposals(shop.project.pk)
    before = Monitor.objects.get(pk=one.pk).arl0

    shop.alice.post(URL + "act/", {"act": "accept", "id": row.id, "note": "twice the same"})
    retired, after = Monitor.objects.get(pk=other.pk).is_on, Monitor.objects.get(pk=one.pk).arl0
    answering = next(each.monitor_ids for each in list_questions(shop.project.pk) if each.id == key)
    shop.alice.post(URL + "act/", {"act": "undo", "id": row.id})

    assert row.evidence["hours_back"] > 0
    assert (retired, Monitor.objects.get(pk=other.pk).is_on) == (False, True)
    assert after < before  # a shorter run length: the others see more
    assert answering == (one.pk, alone.pk)
    assert [row.state for row in list_proposals(shop.project.pk)] == ["undone"]
    acts = set(AuditEntry.objects.filter(project_id=shop.project.pk).values_list("action", flat=True))
    assert {"proposal.accept", "proposal.undo", "monitor.off", "monitor.on"} <= acts


def test_a_refused_one_is_not_proposed_again_for_ninety_days(shop):  # noqa: F811
    twins(shop, noise=0.1)
    earning.report(shop.project)
    retiring.refuse(shop.project, list_proposals(shop.project.pk)[0].id, "we want both")
    earning.report(shop.project)
    soon = [row.state for row in list_proposals(shop.project.pk)]
    Proposal.objects.update(decided_at=NOW - timedelta(days=91))

    earning.report(shop.project)

    assert soon == ["refused"]
    assert [row.state for row in list_proposals(shop.project.pk)] == ["open", "refused"]


def test_a_decided_proposal_is_not_decided_again(shop):  # noqa: F811
    twins(shop, noise=0.1)
    earning.report(shop.project)
    row = list_proposals(shop.project.pk)[0]
    retiring.refuse(shop.project, row.id)

    with pytest.raises(ItemRefused, match="cannot follow"):
        retiring.accept(shop.project, row.id)

    assert Monitor.objects.get(pk=row.monitor_id).is_on


def test_reports_are_made_daily_and_when_asked_for(shop):  # noqa: F811
    monitor_named(shop, "Errors")
    made = [earning.report_due(), earning.report_due()]
    asking.ask_report(shop.project)
    waiting = get_report(shop.project.pk).is_under_way
    made.append(earning.report_due())
    with time_machine.travel(NOW + timedelta(hours=25), tick=False):
        made.append(earning.report_due())

    assert made == [1, 0, 1, 1]
    assert waiting
    assert get_report(shop.project.pk).made_at == (NOW + timedelta(hours=25)).astimezone(UTC)


def test_a_report_that_fails_says_so_and_costs_the_others_nothing(shop, monkeypatch):  # noqa: F811
    monitor_named(shop, "Errors")
    monkeypatch.setattr(earning, "_worked_out", lambda project, now: 1 / 0)

    assert earning.report_due() == 0

    assert "ZeroDivisionError" in get_report(shop.project.pk).error


def test_the_page_costs_the_same_queries_for_two_monitors_and_twenty(
    shop, django_assert_max_num_queries  # noqa: F811
):
    for at in range(2):
        monitor_named(shop, f"Monitor {at}")
    asking.begin_with(shop.project, "shop")
    earning.report(shop.project)
    with django_assert_max_num_queries(40) as few:
        shop.alice.get(URL)
    for at in range(2, 20):
        monitor_named(shop, f"Monitor {at}")
    earning.report(shop.project)

    with django_assert_max_num_queries(len(few)):
        page = shop.alice.get(URL).content.decode()

    assert "Monitor 19" in page


def test_rest_does_what_the_page_does(shop):  # noqa: F811
    one, other, _ = twins(shop, noise=0.1)
    api, own = "/api/v1/questions", "?project=shop"

    def send(method, path, body=None):
        act = getattr(shop.alice, method)
        told = {} if body is None else {"data": json.dumps(body), "content_type": "application/json"}
        answer = act(api + path + own, **told)
        return answer.status_code, json.loads(answer.content or b"null")

    status, made = send("post", "", {"text": "Is it well?", "pillar": "quality", "monitors": [one.pk]})
    wrong = send("post", "", {"text": "", "pillar": "mood", "monitors": [10**9]})
    _, report = send("post", "/report", {})
    earning.report_due()
    _, told = send("get", "/report")
    _, proposals = send("get", "/proposals")
    key = proposals["items"][0]["id"]
    done = send("patch", f"/proposals/{key}", {"state": "accepted"})
    again = send("patch", f"/proposals/{key}", {"state": "accepted"})
    gone = send("delete", f"/{made['id']}")[0]

    assert (status, made["monitors"]) == (201, [one.pk])
    assert wrong[0] == 400
    assert report["state"] == "waiting"
    assert {line["monitor"] for line in told["metrics"]} >= {one.pk, other.pk}
    assert done[1]["state"] == "accepted"
    assert again[0] == 400
    assert gone == 204
    assert list_questions(shop.project.pk) == []


@pytest.mark.parametrize(
    ("told", "fields"),
    [
        ({"text": "", "pillar": "mood"}, {"text", "pillar"}),
        ({"text": "x" * 201, "pillar": "cost"}, {"text"}),
        ({"text": "a\x00b", "pillar": "cost"}, {"text"}),
        ({"text": "Well?", "pillar": "cost", "monitors": "all"}, {"monitors"}),
        ({"text": "Well?", "pillar": "cost", "monitors": [True]}, {"monitors"}),
        ({"text": "Well?", "pillar": "cost", "colour": 1}, {"colour"}),
        ({"text": "well?", "pillar": "cost"}, {"text"}),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_field(shop, told, fields):  # noqa: F811
    if told["text"] == "well?":
        asking.create(shop.project, {"text": "Well?", "pillar": "cost"})

    with pytest.raises(ItemRefused) as refused:
        asking.create(shop.project, told)

    assert {fault.field for fault in refused.value.faults} == fields


def test_a_set_of_questions_binds_what_is_watched_and_is_written_once(shop):  # noqa: F811
    errors = monitor_named(shop, "Errors")

    first = asking.begin_with(shop.project, "support")
    second = asking.begin_with(shop.project, "support")

    rows = list_questions(shop.project.pk)
    assert (len(first), second) == (5, [])
    assert [row.monitor_ids for row in rows if row.pillar.value == "latency"] == [(errors.pk,)]
    assert sum(len(row.monitor_ids) for row in rows) == 1


def test_worths_are_checked_kept_and_change_the_report(shop):  # noqa: F811
    monitor = monitor_named(shop, "Errors")
    incident(shop, 1, 1, {monitor: 0.0})
    asking.set_worths(shop.project, {"worth": {"1": 5}, "page_cost": 1.5})

    with pytest.raises(ItemRefused) as refused:
        asking.set_worths(shop.project, {"worth": {"1": -1, "9": 3}, "page_cost": float("nan")})

    assert lines_of(shop.project)["Errors"]["benefit"] == pytest.approx(5.0)
    assert {fault.field for fault in refused.value.faults} == {"worth.1", "worth.9", "page_cost"}


def test_questions_are_moved_and_edited_by_their_form(shop):  # noqa: F811
    monitor = monitor_named(shop, "Errors")
    asking.begin_with(shop.project, "shop")
    first, second = [row.id for row in list_questions(shop.project.pk)][:2]

    shop.alice.post(URL + "act/", {"act": "down", "id": first})
    edited = shop.alice.post(
        f"{URL}{first}/edit/", {"text": "Do they buy?", "pillar": "users", "monitors": [str(monitor.pk)]}
    )
    wrong = shop.alice.post(f"{URL}{first}/edit/", {"text": " ", "pillar": "users"})

    rows = list_questions(shop.project.pk)
    assert [row.id for row in rows][:2] == [second, first]
    assert (edited.status_code, rows[1].text, rows[1].monitor_ids) == (302, "Do they buy?", (monitor.pk,))
    assert wrong.status_code == 400
    assert datetime.now(UTC) == NOW
