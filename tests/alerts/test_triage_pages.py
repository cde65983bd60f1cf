"""The pages of triage and of the close: blind until the end, the same without scripts, refused until all stands."""

from __future__ import annotations

import re

import pytest

from alerts import moving, triaging
from alerts.models import TriageItem
from alerts.read.triage import get_deal
from evals.models import DatasetItem
from telltale.lib import clock
from telltale.projects.models import ProjectMember
from tests.alerts.test_triaging import run_experiment
from tests.alerts.triage_kit import make_trouble, open_incident
from tests.traces.conftest import otlp, shop  # noqa: F401

BASE = "/p/shop/incidents/1/"
JSON = {"HTTP_ACCEPT": "application/json"}


@pytest.fixture
def trouble(otlp, shop):  # noqa: F811
    incident = open_incident(shop.project, make_trouble(otlp, failing=22, fine=20))
    return shop, incident


def text(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def post(client, path, **told):
    return client.post(BASE + path, told, follow=True)


def items(incident):
    return list(TriageItem.objects.filter(incident=incident).order_by("position"))


def verdict_of(item):
    return "real" if item.origin == "flagged" else "false"


def say_all(shop, incident, but=None):  # noqa: F811
    for item in items(incident):
        if item.position != but:
            triaging.say(shop.project, 1, item.position, verdict_of(item), user=shop.people.alice)


def test_from_dealing_to_a_decision_without_scripts(trouble):
    shop, incident = trouble  # noqa: F811
    assert "Nothing is dealt yet" in text(shop.alice.get(BASE + "triage/"))

    page = post(shop.alice, "triage/deal/")

    assert page.redirect_chain[-1][0] == BASE + "triage/"
    assert "40 of 40 responses left" in text(page)
    # Nothing on the page tells which kind a response is, when it was, or leads to its trace.
    first = TriageItem.objects.get(incident=incident, position=1)
    assert first.trace_id.hex not in page.content.decode()
    assert "Flagged, these hours" not in text(page)
    on = shop.alice.post(BASE + "triage/verdict/", {"position": 1, "verdict": verdict_of(first)})
    assert (on.status_code, on["Location"]) == (302, BASE + "triage/")
    say_all(shop, incident, but=40)
    page = post(shop.alice, "triage/verdict/", position=40, verdict=verdict_of(items(incident)[39]))
    said = text(page)
    assert "20 of the 20 decided flagged responses are real failures: 100% (95% CI 83–100)." in said
    assert "The verdicts suggest a real regression" in said
    assert "Flagged, these hours" in said

    undone = post(shop.alice, "triage/undo/", position=7)
    assert undone.redirect_chain[-1][0] == BASE + "triage/?at=7"
    assert "1 of 40 responses left" in text(undone)
    post(shop.alice, "triage/verdict/", position=7, verdict="unsure")

    decided = post(shop.alice, "triage/conclude/", verdict="real")
    assert decided.redirect_chain[-1][0] == BASE + "#scope"
    assert "Real regression" in text(shop.alice.get(BASE))


def test_a_script_is_told_what_comes_next(trouble):
    shop, _ = trouble  # noqa: F811
    post(shop.alice, "triage/deal/")

    held = shop.alice.post(BASE + "triage/hold/", **JSON).json()
    told = shop.alice.post(BASE + "triage/verdict/", {"position": 1, "verdict": "real"}, **JSON).json()

    assert held == {"ahead": [1, 2, 3], "left": 40, "dealt": 40}
    assert told == {"ahead": [2, 3, 4], "left": 39, "dealt": 40}
    card = shop.alice.get(BASE + "triage/card/?at=2")
    assert "<html" not in card.content.decode()
    assert f"parcel {''}" in text(card) or "parcel" in text(card)
    taken = shop.erin.post(BASE + "triage/verdict/", {"position": 1, "verdict": "false"}, **JSON)
    assert (taken.status_code, taken.json()["verdict"]) == (409, "real")
    assert taken.json()["words"] == "Alice said of response 1 meanwhile: real. That stays."
    refused = shop.alice.post(BASE + "triage/verdict/", {"position": 2, "verdict": "maybe"}, **JSON)
    assert refused.status_code == 400
    for at in ("", "0", "41", "-1", "99999999999999999999", "x"):
        assert shop.alice.get(BASE + "triage/card/", {"at": at}).status_code == 302
        answer = shop.alice.post(BASE + "triage/verdict/", {"position": at, "verdict": "real"}, **JSON)
        assert answer.status_code == 404, at


def test_pages_cost_a_constant_number_of_queries(trouble, django_assert_max_num_queries):
    shop, _ = trouble  # noqa: F811
    post(shop.alice, "triage/deal/")

    with django_assert_max_num_queries(26):
        shop.alice.get(BASE + "triage/?at=3")
    with django_assert_max_num_queries(18):
        shop.alice.get(BASE + "triage/card/?at=4")
    with django_assert_max_num_queries(14):
        shop.alice.post(BASE + "triage/verdict/", {"position": 1, "verdict": "real"}, **JSON)


def test_the_close_is_refused_until_everything_stands(trouble):
    shop, incident = trouble  # noqa: F811
    page = text(shop.alice.get(BASE))
    assert "To close it, decide whether it is real, write the scope, add failing cases to a dataset" in page
    assert 'disabled aria-describedby="l-why"' in shop.alice.get(BASE).content.decode()
    refused = text(post(shop.alice, "close/"))
    assert "INC-1 stays open. Missing: A person decided real or false alarm (nobody has); Scope written" in refused

    post(shop.alice, "triage/deal/")
    say_all(shop, incident)
    post(shop.alice, "triage/conclude/", verdict="real")
    with moving.holding(shop.project, 1) as held:
        moving.write.put(held, scope_note="returns alone", step="learn")

    page = shop.alice.get(BASE)
    cases = re.findall(r'name="case" value="([^"]+)" checked', page.content.decode())
    assert len(cases) == 20
    added = post(shop.alice, "learn/cases/", case=cases, name="Returns", dataset="")
    assert "20 cases are in “Returns” now." in text(added)
    assert DatasetItem.objects.filter(origin="incident", origin_ref="INC-1").count() == 20
    assert "Missing: One experiment over them recorded (none recorded)." in text(post(shop.alice, "close/"))
    made = run_experiment(shop.project, "returns")
    page = shop.alice.get(BASE)
    assert f'name="experiment" value="{made.id}"' in page.content.decode()
    assert "The experiment is recorded." in text(post(shop.alice, "learn/experiment/", experiment=made.id))

    closed = post(shop.alice, "close/")

    assert "INC-1 is closed." in text(closed)
    assert text(post(shop.alice, "close/")).count("INC-1 was closed already.") == 1


def test_only_an_administrator_closes_without(trouble):
    shop, _ = trouble  # noqa: F811
    ProjectMember.objects.filter(user=shop.people.bob).update(role="reviewer")
    said = text(post(shop.bob, "close/", override_reason="I say so"))
    assert "Closing without them is for administrators." in said
    assert "Close without the rest" not in text(shop.bob.get(BASE))

    closed = text(post(shop.erin, "close/", override_reason="a drill <script>"))

    assert "INC-1 is closed." in closed
    assert "Closed although conditions were not met: a drill &lt;script&gt;" in closed


def test_a_false_alarm_closes_from_the_page(trouble):
    shop, incident = trouble  # noqa: F811

    refused = text(post(shop.alice, "triage/conclude/", verdict="false"))
    assert "Note is needed." in refused
    closed = text(post(shop.alice, "triage/conclude/", verdict="false", note="a load test"))

    assert "INC-1 is closed as a false alarm" in closed
    incident.refresh_from_db()
    assert (incident.state, incident.verdict) == ("resolved", "false")


def test_viewers_look_and_do_nothing(trouble):
    shop, incident = trouble  # noqa: F811
    post(shop.alice, "triage/deal/")

    page = shop.bob.get(BASE + "triage/")

    assert page.status_code == 200
    assert 'name="verdict"' not in page.content.decode()
    assert shop.bob.post(BASE + "triage/verdict/", {"position": 1, "verdict": "real"}).status_code == 403
    assert shop.charlie.get(BASE + "triage/").status_code == 404
    assert get_deal(incident.pk, 1, clock.now()).said == 0
