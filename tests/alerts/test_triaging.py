"""From alert to closed: responses dealt blind, verdicts weighed, cases kept, and a gate that holds."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import closing, learning, moving, triaging
from alerts.incidents.types import NotThere, Step, WrongState
from alerts.models import Alarm, IncidentCase, IncidentEvent, IncidentSettings, Transition, TriageItem
from alerts.read.incidents import get_incident
from alerts.read.triage import BEFORE, CONTROL, FLAGGED, get_deal
from evals import experimenting
from evals.keeping import By, remove_items
from evals.models import Dataset, DatasetItem, Experiment
from evals.read.datasets import get_dataset
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from tests.alerts.triage_kit import make_trouble, open_incident
from tests.traces.conftest import otlp, shop  # noqa: F401


@pytest.fixture
def trouble(otlp, shop):  # noqa: F811
    """An incident of errors with its traffic: (shop, incident)."""
    incident = open_incident(shop.project, make_trouble(otlp))
    return shop, incident


def dealt(incident):
    return get_deal(incident.pk, incident.round, clock.now())


def say_all(shop, incident, *, real=(FLAGGED,), user=None):  # noqa: F811
    for item in dealt(incident).items:
        verdict = "real" if item.origin in real else "false"
        triaging.say(shop.project, incident.number, item.position, verdict, user=user or shop.people.alice)


def run_experiment(project, slug, *, but=0):
    """An experiment over the newest version with answers to all items but so many, done."""
    row = experimenting.make_experiment(project, experimenting.Wanted(dataset=slug, name="after the fix"), by=By())
    keys = DatasetItem.objects.filter(dataset__slug=slug, to_version=None).order_by("pk")
    told = [{"item_key": key, "output": "fine now"} for key in keys.values_list("item_key", flat=True)]
    assert not experimenting.post_results(project, row.id, told[but:]).refused
    Experiment.objects.filter(pk=row.id).update(state="done")
    return row


def test_twenty_flagged_are_dealt_among_controls_in_mixed_order(trouble):
    shop, _ = trouble  # noqa: F811

    found = triaging.deal(shop.project, 1, user=shop.people.alice)

    assert (found.arm(FLAGGED).dealt, found.arm(BEFORE).dealt, found.arm(CONTROL).dealt) == (20, 4, 16)
    assert found.words == "had a failed step"
    assert (found.now.n, found.now.flagged) == (66, 26)
    assert found.now.share == pytest.approx(26 / 66)
    assert (found.before.n, found.before.flagged) == (64, 4)
    assert [item.position for item in found.items] == list(range(1, 41))
    assert len({item.trace_id for item in found.items}) == 40
    # No run of one kind gives the order away.
    origins = [item.origin for item in found.items]
    assert origins != sorted(origins)
    assert {item.pi for item in found.items if item.origin == FLAGGED} == {20 / 26}
    assert not found.is_open


def test_a_deal_stays_as_it_is_and_is_filled_up(trouble, otlp):  # noqa: F811
    shop, incident = trouble  # noqa: F811
    first = triaging.deal(shop.project, 1, user=shop.people.alice)
    again = triaging.deal(shop.project, 1, user=shop.people.bob)

    assert again.items == first.items

    TriageItem.objects.filter(incident=incident, position__gt=30).delete()
    more = triaging.deal(shop.project, 1, user=shop.people.bob)

    assert more.items[:30] == first.items[:30]
    assert (more.arm(FLAGGED).dealt, len(more.items)) == (20, 40)


def test_two_people_share_a_deal(trouble):
    shop, incident = trouble  # noqa: F811
    alice, erin = shop.people.alice, shop.people.erin
    triaging.deal(shop.project, 1, user=alice)

    hers = triaging.hold(shop.project, 1, user=alice)
    theirs = triaging.hold(shop.project, 1, user=erin)

    assert (hers.ahead, theirs.ahead) == ((1, 2, 3), (4, 5, 6))
    assert dealt(incident).next_for(erin.pk, clock.now()).position == 4
    # What one decided nobody overwrites; one's own may be changed and taken back.
    assert triaging.say(shop.project, 1, 1, "real", user=alice).ahead == (2, 3, 7)
    with pytest.raises(triaging.TakenBy) as taken:
        triaging.say(shop.project, 1, 1, "false", user=erin)
    assert (taken.value.who, taken.value.verdict) == ("Alice", "real")
    triaging.say(shop.project, 1, 1, "unsure", user=alice)
    assert dealt(incident).items[0].verdict == "unsure"
    with pytest.raises(WrongState):
        triaging.take_back(shop.project, 1, 1, user=erin)
    triaging.take_back(shop.project, 1, 1, user=alice)
    assert dealt(incident).said == 0
    with pytest.raises(NotThere):
        triaging.say(shop.project, 1, 41, "real", user=alice)
    with pytest.raises(ItemRefused):
        triaging.say(shop.project, 1, 1, "maybe", user=alice)


def test_a_false_alarm_closes_and_counts_in_the_monitors_record(trouble):
    shop, incident = trouble  # noqa: F811
    triaging.deal(shop.project, 1, user=shop.people.alice)
    say_all(shop, incident, real=())

    found = dealt(incident)
    assert found.is_open
    assert found.weigh().suggestion == "false"
    triaging.conclude(shop.project, 1, "false", user=shop.people.alice)

    incident.refresh_from_db()
    assert (incident.state, incident.verdict) == ("resolved", "false")
    alarm = Alarm.objects.get()
    assert (alarm.state, alarm.verdict) == ("closed", "false")
    assert Transition.objects.filter(incident=incident, kind="resolved").count() == 1
    assert AuditEntry.objects.filter(action="incident.close").count() == 1
    step = incident.steps.get(step="triage")
    assert step.outcome["words"].startswith("False alarm: 0 of 20 flagged responses are real failures")
    with pytest.raises(WrongState):
        triaging.say(shop.project, 1, 1, "real", user=shop.people.alice)


def test_a_real_regression_goes_on_to_scope_and_needs_a_reason_without_responses(trouble):
    shop, incident = trouble  # noqa: F811
    with pytest.raises(ItemRefused) as refused:
        triaging.conclude(shop.project, 1, "real", user=shop.people.alice)
    assert refused.value.faults[0].field == "note"

    triaging.conclude(shop.project, 1, "real", "the site is down", user=shop.people.alice)

    incident.refresh_from_db()
    assert (incident.verdict, incident.step, incident.state) == ("real", "scope", "acknowledged")
    assert Alarm.objects.get().state == "acknowledged"
    assert IncidentEvent.objects.filter(incident=incident, kind="verdict").count() == 1


def test_it_closes_once_everything_stands_and_not_before(trouble):
    shop, incident = trouble  # noqa: F811
    project, alice = shop.project, shop.people.alice

    def unmet():
        incident.refresh_from_db()
        return [each.key for each in closing.conditions(project.pk, incident) if each.is_required and not each.is_met]

    def refused():
        with pytest.raises(closing.GateClosed) as gate:
            closing.close(project, 1, user=alice)
        return [each.key for each in gate.value.unmet]

    assert unmet() == refused() == ["decided", "scope", "cases", "experiment"]
    triaging.deal(project, 1, user=alice)
    say_all(shop, incident)
    assert dealt(incident).weigh().suggestion == "real"
    triaging.conclude(project, 1, "real", user=alice)
    assert refused() == ["scope", "cases", "experiment"]

    with moving.holding(project, 1) as held:
        moving.write.put(held, scope_note="all of it")
    for step in (Step.SCOPE, Step.ISOLATE, Step.RESPOND):
        moving.finish_step(project, 1, step, {"words": "seen"}, user=alice)
    assert refused() == ["cases", "experiment"]

    offered = learning.candidates(project.pk, get_incident(project.pk, 1))
    assert [each.why for each in offered] == ["real"] * 20
    assert offered[0].answer == "I cannot help"
    wanted = [(each.trace_id, each.span_id) for each in offered]
    added = learning.add_cases(project, 1, wanted[:4], name="Returns", user=alice)
    assert (added.added, added.dataset_slug) == (4, "returns")
    cases = next(each for each in closing.conditions(project.pk, incident) if each.key == "cases")
    assert (cases.detail, cases.is_met) == ("4 of 5", False)
    early = run_experiment(project, "returns")
    learning.add_cases(project, 1, wanted, dataset="returns", user=alice)
    assert refused() == ["experiment"]

    item = DatasetItem.objects.filter(dataset__slug="returns").first()
    assert (item.origin, item.origin_ref, item.pi) == ("incident", "INC-1", 20 / 26)
    assert item.metadata["failed_answer"] == "I cannot help"
    assert item.expected is None

    # One that ran before the fifth case came has answers to four; one of 16 cases answered three.
    partly = run_experiment(project, "returns", but=17)
    learning.record_experiment(project, 1, partly.id, user=alice)
    assert refused() == ["experiment"]
    learning.record_experiment(project, 1, early.id, user=alice)
    assert refused() == ["experiment"]
    learning.record_experiment(project, 1, run_experiment(project, "returns").id, user=alice)
    assert unmet() == []
    # What is taken out of the dataset does not count any more.
    keys = list(IncidentCase.objects.values_list("item_key", flat=True))
    remove_items(project, "returns", keys[:16], by=By())
    assert refused() == ["cases", "experiment"]
    learning.add_cases(project, 1, wanted[:8], dataset="returns", user=alice)
    learning.record_experiment(project, 1, run_experiment(project, "returns").id, user=alice)

    assert closing.close(project, 1, user=alice)
    assert not closing.close(project, 1, user=alice)
    incident.refresh_from_db()
    assert (incident.state, incident.closed_by, incident.override_reason) == ("resolved", alice, "")
    assert (Alarm.objects.get().state, Alarm.objects.get().verdict) == ("closed", "real")
    assert Transition.objects.filter(incident=incident, kind="resolved").count() == 1


def test_an_administrator_closes_without_and_says_why(trouble):
    shop, incident = trouble  # noqa: F811
    with pytest.raises(closing.GateClosed) as gate:
        closing.close(shop.project, 1, override_reason="it was a drill", user=shop.people.bob)
    assert not gate.value.may_override
    with pytest.raises(closing.GateClosed):
        closing.close(shop.project, 1, override_reason="  ", may_override=True, user=shop.people.alice)

    closing.close(shop.project, 1, override_reason="it was a drill", may_override=True, user=shop.people.alice)

    incident.refresh_from_db()
    assert (incident.state, incident.override_reason) == ("resolved", "it was a drill")
    told = AuditEntry.objects.get(action="incident.override").after
    assert told == {"reason": "it was a drill", "unmet": ["decided", "scope", "cases", "experiment"]}
    # Nobody decided what it was, so nothing is said of its alarm.
    assert Alarm.objects.get().verdict == ""


def test_fewer_failing_cases_than_asked_for_are_all_there_are(otlp, shop):  # noqa: F811
    incident = open_incident(shop.project, make_trouble(otlp, failing=3, fine=10))
    IncidentSettings.objects.create(project=shop.project, cases_least=10)
    triaging.deal(shop.project, 1, user=shop.people.alice)
    say_all(shop, incident)
    triaging.conclude(shop.project, 1, "real", user=shop.people.alice)
    incident.refresh_from_db()

    cases = next(each for each in closing.conditions(shop.project.pk, incident) if each.key == "cases")

    assert cases.detail == "0 of 3"


def test_an_incident_without_responses_can_be_decided_and_closed(shop):  # noqa: F811
    incident = open_incident(shop.project, clock.now() - timedelta(hours=2), metric="silence")

    found = triaging.deal(shop.project, 1, user=shop.people.alice)

    assert found.items == ()
    assert found.lacking.startswith("No response of these hours is stored")
    with pytest.raises(ItemRefused):
        triaging.conclude(shop.project, 1, "false", user=shop.people.alice)
    triaging.conclude(shop.project, 1, "real", "nothing came at all", user=shop.people.alice)
    with moving.holding(shop.project, 1) as held:
        moving.write.put(held, scope_note="everybody")
    incident.refresh_from_db()
    assert all(each.is_met for each in closing.conditions(shop.project.pk, incident) if each.is_required)
    assert closing.close(shop.project, 1, user=shop.people.alice)


def test_cases_and_experiments_are_refused_with_the_field(trouble):
    shop, incident = trouble  # noqa: F811
    project, alice = shop.project, shop.people.alice
    triaging.deal(project, 1, user=alice)
    case = (dealt(incident).items[0].trace_id, None)

    def fault(*cases, **told):
        with pytest.raises(ItemRefused) as refused:
            learning.add_cases(project, 1, cases, user=alice, **told)
        return refused.value.faults[0].field

    assert fault(name="x") == "cases"
    assert fault(case) == "dataset"
    assert fault(case, dataset="none") == "dataset"
    assert fault(case, dataset="a", name="b") == "dataset"
    assert fault((uuid4(), None), name="New") == "cases"
    assert not Dataset.objects.exists()
    Dataset.objects.create(project=project, slug="old", name="Old", archived_at=clock.now())
    assert fault(case, dataset="old") == "dataset"
    assert fault(case, name="old") == "name"
    with pytest.raises(WrongState):
        learning.record_experiment(project, 1, 1, user=alice)
    for text in ("", "zz", "a" * 31, "a" * 32 + ":12", "a" * 32 + ":" + "g" * 16):
        with pytest.raises(ItemRefused):
            learning.read_ref(text)
    assert learning.read_ref(learning.ref_of_case(case[0], -5)) == (case[0], -5)
    assert get_dataset(project.pk, "old").items == 0


def test_a_new_dataset_of_cases_locks_the_project_before_the_incident_as_grouping_does(trouble):
    shop, incident = trouble  # noqa: F811
    triaging.deal(shop.project, 1, user=shop.people.alice)
    case = (dealt(incident).items[0].trace_id, None)

    with CaptureQueriesContext(connection) as asked:
        learning.add_cases(shop.project, 1, [case], name="Returns", user=shop.people.alice)

    locks = [each["sql"] for each in asked.captured_queries if "FOR NO KEY UPDATE" in each["sql"]]
    tables = [each.split(' FROM "')[1].split('"')[0] for each in locks if ' FROM "' in each]
    assert tables.index("projects_project") < tables.index("alerts_incident")
