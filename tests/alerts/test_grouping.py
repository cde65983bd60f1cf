"""Alarms become incidents, once: opened, joined, worse, over, back again."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import time_machine
from django.db import connection, connections

from alerts import alarming, grouping, moving, tending
from alerts.models import (
    Alarm,
    BudgetStand,
    CostBudget,
    Incident,
    IncidentEvent,
    IncidentMember,
    IncidentStep,
    Transition,
)
from alerts.read.incidents import get_incident
from alerts.tasks import tend_incidents
from telltale.lib import clock
from tests.alerts.incident_kit import HOUR, alarm_of, incident_of, monitor_of


def take(project):
    return grouping.take_alarms([project.pk])


def told(project):
    return list(Transition.objects.filter(project=project).order_by("at", "key").values_list("kind", flat=True))


def lines(incident):
    return list(IncidentEvent.objects.filter(incident=incident).order_by("pk").values_list("kind", flat=True))


def test_an_alarm_opens_an_incident_with_its_first_timer_and_one_message(project):
    alarm = alarm_of(monitor_of(project, "Errors of returns", severity=1, feature="returns"))

    assert tending.has_work()
    assert tend_incidents() == 1
    assert not tending.has_work()

    row = get_incident(project.pk, 1)
    assert (row.ref, row.title, row.severity, row.state, row.step) == (
        "INC-1", "Errors of returns rose", 1, "open", "triage",
    )  # fmt: skip
    assert row.scope == {"feature": ("returns",)}
    assert row.began_at == alarm.window_start
    assert row.step_due_at - row.opened_at == timedelta(minutes=30)
    assert told(project) == ["opened"]
    assert lines(row.id) == ["opened", "joined"]


def test_grouping_twice_is_grouping_once(project):
    alarm_of(monitor_of(project))

    assert [take(project), take(project), tend_incidents(), take(project)] == [1, 0, 0, 0]

    assert (Incident.objects.count(), IncidentMember.objects.count(), told(project)) == (1, 1, ["opened"])


def test_twenty_features_that_fail_at_once_are_one_incident(project):
    for number in range(20):
        alarm_of(monitor_of(project, f"Errors of {number}", feature=f"f{number}"))

    take(project)

    row = Incident.objects.get()
    assert row.title == "Requests with an error rose in 20 features"
    assert len(row.scope["feature"]) == 20
    assert told(project) == ["opened"]
    assert IncidentEvent.objects.filter(incident=row, kind="joined").count() == grouping.JOINED_SHOWN


def test_what_comes_later_changes_the_title_that_no_person_wrote(project):
    alarm_of(monitor_of(project, "Errors of a", feature="a"))
    take(project)
    alarm_of(monitor_of(project, "Errors of b", feature="b"))
    take(project)
    assert Incident.objects.get().title == "Requests with an error rose in 2 features"
    Incident.objects.update(title="Provider is down")
    alarm_of(monitor_of(project, "Errors of c", feature="c"))

    take(project)

    assert Incident.objects.get().title == "Provider is down"


def test_another_part_at_the_same_time_is_another_incident(project):
    alarm_of(monitor_of(project, "Errors of a", feature="a"))
    alarm_of(monitor_of(project, "Cost of b", "cost_request", feature="b"))

    take(project)

    assert list(Incident.objects.order_by("number").values_list("number", flat=True)) == [1, 2]
    assert told(project) == ["opened", "opened"]


def test_a_worse_alarm_before_people_were_told_is_one_message_of_the_worse(project):
    alarm_of(monitor_of(project, "A", severity=2))
    take(project)
    alarm_of(monitor_of(project, "B", severity=0))
    take(project)

    assert Incident.objects.get().severity == 0
    assert [(row.kind, row.severity) for row in Transition.objects.all()] == [("opened", 0)]


def test_a_worse_alarm_after_people_were_told_is_told_once(project):
    alarm_of(monitor_of(project, "A", severity=2))
    take(project)
    Transition.objects.update(routed_at=clock.now())
    for name in "BC":
        alarm_of(monitor_of(project, name, severity=1))
        take(project)

    assert told(project) == ["opened", "worse"]


def test_an_alarm_that_joins_tells_nobody(project):
    alarm_of(monitor_of(project, "A", severity=1))
    take(project)
    Transition.objects.update(routed_at=clock.now())
    alarm_of(monitor_of(project, "B", severity=2))

    take(project)

    assert told(project) == ["opened"]
    assert IncidentMember.objects.count() == 2


def test_a_notice_opens_nothing_and_joins_what_pages(project):
    notice = alarm_of(monitor_of(project, "A", "length"), is_page=False)
    assert take(project) == 0
    alarm_of(monitor_of(project, "B"))

    assert take(project) == 2

    assert IncidentMember.objects.get(ref=notice.pk).is_page is False


def test_an_alarm_found_in_history_is_no_evidence(project):
    monitor = monitor_of(project, "A", made=clock.now())
    alarm_of(monitor, ago=30, is_page=False)
    alarm_of(monitor_of(project, "B"), ago=30)

    take(project)

    assert IncidentMember.objects.count() == 1


def test_an_alarm_of_another_project_stays_there(project, charlie):
    from telltale.projects.models import Project

    far = Project.objects.get(slug="far")
    alarm_of(monitor_of(project))
    alarm_of(monitor_of(far))

    assert grouping.take_alarms() == 2

    assert sorted(Incident.objects.values_list("project__slug", "number")) == [("far", 1), ("shop", 1)]


def test_an_incident_is_quiet_when_all_that_pages_is_over_and_never_closes(project, alice):
    first, second = alarm_of(monitor_of(project, "A")), alarm_of(monitor_of(project, "B"))
    take(project)
    Alarm.objects.filter(pk=first.pk).update(state="ended", ended_at=clock.now())
    assert tending.end_members(clock.now()) == 1
    assert Incident.objects.get().quiet_since is None

    alarming.close(project, second.pk, "real", user=alice)
    assert [tending.end_members(clock.now()), tending.end_members(clock.now())] == [1, 0]

    row = Incident.objects.get()
    assert row.quiet_since is not None
    assert row.state == "open"
    assert lines(row)[-3:] == ["over", "over", "quiet"]


def test_an_alarm_after_quiet_makes_it_go_on(project):
    monitor = monitor_of(project)
    Alarm.objects.filter(pk=alarm_of(monitor, ago=3).pk).update(state="ended", ended_at=clock.now())
    take(project)
    tending.end_members(clock.now())
    alarm_of(monitor)

    take(project)

    row = Incident.objects.get()
    assert row.quiet_since is None
    assert "moves" in lines(row)


def closed(project, verdict="real", days=0):
    row = incident_of(project)
    Incident.objects.update(state="resolved", verdict=verdict, closed_at=clock.now() - timedelta(days=days))
    Alarm.objects.update(state="ended", ended_at=clock.now())
    return row


def test_a_trouble_that_comes_back_is_opened_again_with_what_was_found(project):
    row = closed(project)
    IncidentStep.objects.update(finished_at=clock.now(), outcome={"words": "real"})
    alarm_of(Alarm.objects.get().monitor, ago=0.5)

    take(project)

    row.refresh_from_db()
    assert (row.state, row.round, row.step, row.verdict) == ("open", 2, "triage", "")
    assert IncidentStep.objects.get(incident=row, round=1).outcome == {"words": "real"}
    assert told(project) == ["opened", "reopened"]
    assert take(project) == 0


@pytest.mark.parametrize(("verdict", "days", "direction"), [("false", 0, "up"), ("real", 8, "up"), ("real", 0, "down")])
def test_what_was_false_or_long_ago_or_another_direction_is_a_new_incident(project, verdict, days, direction):
    closed(project, verdict, days)
    alarm_of(Alarm.objects.get().monitor, ago=0.5, direction=direction)

    take(project)

    assert Incident.objects.count() == 2


def test_a_step_out_of_time_is_told_once(project):
    incident_of(project)

    with time_machine.travel(clock.now() + timedelta(minutes=31), tick=False):
        assert [tending.tell_overdue(clock.now()), tending.tell_overdue(clock.now())] == [1, 0]

    assert told(project) == ["opened", "overdue"]
    assert "overdue" in lines(Incident.objects.get())
    assert get_incident(project.pk, 1).step == "triage"


def test_a_closed_incident_is_never_overdue(project):
    closed(project)

    with time_machine.travel(clock.now() + HOUR, tick=False):
        assert tending.tell_overdue(clock.now()) == 0


def test_a_cost_budget_opens_one_incident_and_gets_worse_in_it(project):
    tell = {"title": "Budget of returns", "began_at": clock.now() - HOUR, "scope": {"feature": ("returns",)}}

    assert grouping.join_budget(project.pk, 5, severity=3, says="has spent 50%", **tell) == 1
    assert grouping.join_budget(project.pk, 5, severity=3, says="has spent 50%", **tell) == 1
    assert grouping.join_budget(project.pk, 5, severity=1, says="has spent all", **tell) == 1

    row = Incident.objects.get()
    assert (row.title, row.severity, row.origin) == ("Budget of returns has spent 50%", 1, "budget")
    assert IncidentMember.objects.get().facts["says"] == "has spent all"


def test_nothing_is_written_where_grouping_dies_in_between(project, monkeypatch):
    alarm_of(monitor_of(project))
    with monkeypatch.context() as patch:
        patch.setattr(grouping.write, "add_members", lambda rows: 1 / 0)
        assert take(project) == 0
    assert not Incident.objects.exists()
    assert not Transition.objects.exists()

    assert take(project) == 1


def test_a_thousand_alarms_are_grouped_by_a_few_queries(project, django_assert_max_num_queries):
    monitor = monitor_of(project)
    start = clock.now() - HOUR
    Alarm.objects.bulk_create(
        Alarm(
            project=project, monitor=monitor, chart_no=number, window_start=start, window_end=start + HOUR,
            direction="up", rule="EWMA", severity=2, is_page=True, found_at=clock.now(),
        )
        for number in range(1000)
    )  # fmt: skip

    with django_assert_max_num_queries(40):
        assert take(project) == 1000

    assert (Incident.objects.count(), told(project)) == (1, ["opened"])


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_group_at_once_make_one_incident(committed_db, project):
    for number in range(5):
        alarm_of(monitor_of(project, f"M{number}"))
    start, results = threading.Barrier(3), []

    def work():
        try:
            start.wait(10)
            results.append(take(project))
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)

    assert sorted(results) == [0, 0, 5]
    assert (Incident.objects.count(), Transition.objects.count()) == (1, 1)
    connection.close()


def test_who_takes_an_incident_is_on_its_alarms_too(project, alice):
    alarm = alarm_of(monitor_of(project))
    take(project)

    moving.acknowledge(project, 1, user=alice)

    alarm.refresh_from_db()
    assert (alarm.state, alarm.acknowledged_by) == ("acknowledged", alice)


def test_a_cost_budget_is_over_with_its_period(project):
    budget = CostBudget.objects.create(project=project, name="Day", of="project", period="day", limit_pico=1)
    now = clock.now()
    stand = BudgetStand.objects.create(budget=budget, start_at=now - 2 * HOUR, end_at=now + HOUR, read_at=now)
    grouping.join_budget(project.pk, stand.pk, severity=2, title="Day", says="is spent", began_at=now - HOUR)
    assert tending.end_members(now) == 0

    assert tending.end_members(now + 2 * HOUR) == 1

    assert Incident.objects.get().quiet_since == stand.end_at


def test_what_ends_after_an_incident_was_resolved_is_noted_all_the_same(project):
    closed(project)

    assert tending.end_members(clock.now()) == 1

    row = Incident.objects.get()
    assert (row.state, row.quiet_since is not None) == ("resolved", True)
