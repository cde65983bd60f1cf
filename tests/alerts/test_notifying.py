"""What happened is told once, under one id, however often and by whomever it is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.models import Incident, NoticeSettings, Transition
from alerts.notifying import tell, tell_project

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def make_incident(project, number=1, severity=1):
    return Incident.objects.create(
        project=project, number=number, title="Errors rose", severity=severity, opened_at=NOON, began_at=NOON,
        last_moved_at=NOON,
    )  # fmt: skip


def test_the_same_transition_told_twice_is_one_row(project):
    incident = make_incident(project)

    first = tell(incident, "acknowledged", f"inc:{incident.pk}:r1:ack", at=NOON)
    again = tell(incident, "acknowledged", f"inc:{incident.pk}:r1:ack", at=NOON + timedelta(minutes=1))

    assert first.pk == again.pk
    assert list(Transition.objects.values_list("at", "due_at")) == [(NOON, NOON)]


def test_what_begins_waits_as_long_as_the_project_groups(project):
    NoticeSettings.objects.create(project=project, group_seconds=45)
    incident = make_incident(project)

    row = tell(incident, "opened", f"inc:{incident.pk}:r1:opened", at=NOON)

    assert row.due_at == NOON + timedelta(seconds=45)


def test_worse_is_folded_into_a_message_that_waits_and_is_one_of_its_own_after(project):
    incident = make_incident(project, severity=2)
    opened = tell(incident, "opened", f"inc:{incident.pk}:r1:opened", at=NOON)

    incident.severity = 0
    folded = tell(incident, "worse", f"inc:{incident.pk}:r1:worse:0", at=NOON)

    assert (folded.pk, folded.kind, folded.severity) == (opened.pk, "opened", 0)

    Transition.objects.update(routed_at=NOON)
    own = tell(incident, "worse", f"inc:{incident.pk}:r1:worse:0", at=NOON)

    assert (own.kind, own.severity, own.due_at) == ("worse", 0, NOON)
    assert Transition.objects.count() == 2


def test_a_project_is_told_of_what_belongs_to_no_incident(project):
    row = tell_project(
        project.pk, "budget", "budget:7:2026-11:80", severity=2, facts={"words": "80 % is spent."}, at=NOON
    )

    assert (row.incident_id, row.severity, row.facts) == (None, 2, {"words": "80 % is spent."})


def test_a_key_that_no_row_can_hold_is_refused(project):
    with pytest.raises(ValueError, match="160"):
        tell(make_incident(project), "opened", "k" * 161)
