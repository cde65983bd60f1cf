"""Monitors over REST: making, changing, muting, putting away; budget, presets, alarms, and who may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
import time_machine

from alerts import backtesting, watching
from alerts.models import Alarm, Monitor
from telltale.audit.models import AuditEntry
from tests.alerts import history_kit
from tests.traces.conftest import make_project, shop  # noqa: F401

ERRORS = {"name": "Errors", "metric": "errors", "window_minutes": 60}


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(history_kit.NOW, tick=False):
        yield


class Rest:
    def __init__(self, shop, scopes="read write"):  # noqa: F811
        self.client, self.headers = shop.nobody, shop.key(scopes)

    def ask(self, method, path, body=None, status=200):
        sent = {} if method == "get" else {"data": orjson.dumps(body or {}), "content_type": "application/json"}
        answer = getattr(self.client, method)(f"/api/v1/{path}", headers=self.headers, **sent)
        assert answer.status_code == status, (path, answer.status_code, answer.content[:600])
        return orjson.loads(answer.content) if answer.content else None

    def make(self, **more):
        return self.ask("post", "monitors", {**ERRORS, **more}, 201)

    def change(self, monitor, status=200, **more):
        return self.ask("patch", f"monitors/{monitor['id']}", more, status)


@pytest.fixture
def rest(shop):  # noqa: F811
    return Rest(shop)


def fields(problem):
    return {each["field"] for each in problem["errors"]}


def test_a_monitor_is_made_read_changed_muted_and_put_away(rest, shop):  # noqa: F811
    made = rest.make(note="why")
    assert made["standing"] == "learning"
    assert made["arl0"] == pytest.approx(168)  # one chart, 168 windows and one false page a week
    assert made["expected_a_week"] == pytest.approx(1)

    other = rest.make(name="Duration", metric="request_duration")
    assert rest.ask("get", f"monitors/{made['id']}")["expected_a_week"] == pytest.approx(0.5)

    severe = rest.change(made, severity="P0", tier="notice")
    assert (severe["definition"]["severity"], severe["chart_no"], severe["revision"]) == (0, 1, 2)
    assert rest.ask("get", f"monitors/{other['id']}")["expected_a_week"] == pytest.approx(1)

    moved = rest.change(made, direction="both")
    assert (moved["chart_no"], moved["revision"]) == (2, 3)
    assert rest.change(made, direction="both")["revision"] == 3
    assert fields(rest.change(made, 409, of_revision=1, severity=3)) == {"of_revision"}

    until = datetime.now(UTC) + timedelta(hours=1)
    muted = rest.ask("post", f"monitors/{made['id']}/mute", {"until": until.isoformat()})
    assert muted["muted_until"] is not None
    assert rest.ask("post", f"monitors/{made['id']}/mute", {"until": None})["muted_until"] is None
    far = (until + timedelta(days=200)).isoformat()
    assert fields(rest.ask("post", f"monitors/{made['id']}/mute", {"until": far}, 400)) == {"until"}

    assert rest.change(made, is_on=False)["is_on"] is False
    rest.ask("delete", f"monitors/{made['id']}", status=204)
    assert [each["id"] for each in rest.ask("get", "monitors")["items"]] == [other["id"]]
    assert [each["id"] for each in rest.ask("get", "monitors?archived=true")["items"]] == [made["id"]]
    assert rest.change(made, 404, severity=1)["status"] == 404
    assert rest.change(made, is_archived=False)["archived_at"] is None

    acts = AuditEntry.objects.filter(project_id=shop.project.pk, action__startswith="monitor.")
    assert {"monitor.create", "monitor.change", "monitor.mute", "monitor.unmute", "monitor.off", "monitor.archive",
            "monitor.restore"} == set(acts.values_list("action", flat=True))  # fmt: skip
    assert acts.first().actor.startswith("key ")


def test_names_are_taken_once_and_freed_by_putting_away(rest):
    first = rest.make()

    assert fields(rest.ask("post", "monitors", ERRORS, 400)) == {"name"}

    rest.ask("delete", f"monitors/{first['id']}", status=204)
    rest.make()
    assert fields(rest.change(first, 400, is_archived=False)) == {"name"}


def test_a_composite_stands_on_monitors_of_the_project_that_are_none_themselves(rest, shop):  # noqa: F811
    first, second = rest.make(), rest.make(name="Second")
    theirs = Monitor.objects.get(pk=second["id"])
    body = {"name": "Both", "method": "composite", "composite": {"members": [first["id"], second["id"]]}}

    both = rest.ask("post", "monitors", body, 201)

    assert (both["arl0"], both["definition"]["metric"], both["unit"]) == (None, "composite", "members")
    assert "monitor" in fields(rest.ask("delete", f"monitors/{first['id']}", status=400))
    nested = {"name": "Nested", "method": "composite", "composite": {"members": [both["id"], first["id"]]}}
    assert fields(rest.ask("post", "monitors", nested, 400)) == {"composite.members[0].monitor"}
    others = [rest.make(name=name)["id"] for name in ("Third", "Fourth")]
    turned = {"metric": None, "method": "composite", "composite": {"members": others}}
    assert fields(rest.change(first, 400, **turned)) == {"method"}
    theirs.project = shop.elsewhere
    theirs.save()
    again = {**body, "name": "Again"}
    assert fields(rest.ask("post", "monitors", again, 400)) == {"composite.members[1].monitor"}


def test_what_a_definition_names_must_be_there(rest):
    score = {"name": "Score", "metric": "score", "params": {"judge": "nobody", "criterion": "x"}}
    outcome = {"name": "Outcome", "metric": "outcome", "params": {"outcome": "nothing"}}
    filtered = {**ERRORS, "scope": {"filter": "colour=red"}}
    load = {
        "name": "Load", "metric": "utilisation", "method": "fixed", "scope": {"model": ["gpt-4o"]},
        "threshold": {"side": "under", "limit": 0.8},
    }  # fmt: skip
    refused = rest.ask("post", "monitors", load, 400)
    assert fields(refused) == {"params.capacity"}
    assert "/api/v1/monitors/budget" in str(refused)
    rest.ask("put", "monitors/budget", {"capacity": {"model:gpt-4o": 600}})
    rest.ask("post", "monitors", load, 201)

    assert fields(rest.ask("post", "monitors", score, 400)) == {"params.judge"}
    assert fields(rest.ask("post", "monitors", outcome, 400)) == {"params.outcome"}
    assert any(each.startswith("scope.filter") for each in fields(rest.ask("post", "monitors", filtered, 400)))


def test_a_preset_is_made_by_its_name(rest):
    made = rest.ask("post", "monitors", {"preset": "errors-1"}, 201)
    stricter = rest.ask(
        "post", "monitors", {"preset": "errors-1", "name": "Stricter", "threshold": {"limit": 0.005}}, 201
    )

    assert made["definition"]["threshold"] == {"limit": 0.01, "side": "over", "release": None, "after": 1}
    assert stricter["definition"]["threshold"]["limit"] == 0.005
    assert fields(rest.ask("post", "monitors", {"preset": "errors-9"}, 400)) == {"preset"}
    listed = {each["slug"]: each for each in rest.ask("get", "monitors/presets")["items"]}
    assert "by chance" in listed["errors-1"]["warning"]


def test_the_budget_is_one_knob_and_shows_how_it_is_shared(rest):
    made = rest.make(weight=2)
    rest.make(name="Other")

    body = {"pages_a_week": 2.0, "marked_days": ["2026-12-25", "2026-12-25"], "capacity": {"model:gpt-4o": 600}}
    budget = rest.ask("put", "monitors/budget", body)

    assert (budget["marked_days"], budget["capacity"]) == (["2026-12-25"], {"model:gpt-4o": 600.0})
    assert budget["expected_a_week"] == pytest.approx(2)
    shares = {each["monitor"]: each["expected_a_week"] for each in budget["monitors"]}
    assert shares[made["id"]] == pytest.approx(2 * 2 / 3)
    bad = {"marked_days": ["Christmas"], "capacity": {"planet": 3}}
    assert fields(rest.ask("put", "monitors/budget", bad, 400)) == {"marked_days[0]", "capacity.planet"}
    assert fields(rest.ask("put", "monitors/budget", {"pages_a_week": 0}, 400)) == {"pages_a_week"}


def test_lists_are_paged_and_strict(rest):
    made = [rest.make(name=f"Monitor {n}")["id"] for n in range(3)]

    page = rest.ask("get", "monitors?limit=2")
    assert [each["id"] for each in page["items"]] == made[:2]
    rest_of = page["next"].partition("/api/v1/")[2]
    assert [each["id"] for each in rest.ask("get", rest_of)["items"]] == made[2:]
    assert fields(rest.ask("get", "monitors?standing=happy", status=400)) == {"standing"}
    assert fields(rest.ask("get", "monitors?cursor=abc", status=400)) == {"cursor"}
    assert rest.ask("get", "monitors?q=monitor%202&metric=errors&method=chart")["items"][0]["id"] == made[2]


def test_what_is_not_yours_is_not_there(rest, shop):  # noqa: F811
    made = rest.make()
    reader = Rest(shop, "read")

    for path in ("", "/points", "/baselines", "/alarms", "/backtest"):
        answer = shop.charlie.get(f"/api/v1/monitors/{made['id']}{path}?project=elsewhere")
        assert answer.status_code == 404, path
        rest.ask("get", f"monitors/9223372036854775807{path}", status=404)
    reader.ask("post", "monitors", ERRORS, 403)
    assert rest.ask("get", "alarms/12345", status=404)


@pytest.fixture
def alarmed(rest, shop):  # noqa: F811
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    history_kit.fill(shop.project, end, days=10, worse_at=end - timedelta(hours=30))
    preview = rest.ask("post", "monitors/backtest", {"definition": ERRORS})
    made = rest.make()
    while watching.evaluate_due(seconds=60).windows:
        pass
    return made, preview


def test_the_history_is_charted_alarmed_and_judged_by_people(rest, alarmed):
    made, preview = alarmed

    alarm = rest.ask("get", f"monitors/{made['id']}/alarms")["items"][0]
    held = rest.ask("get", f"monitors/{made['id']}")
    # What the back-test said before it was saved: the same alarm, by the same baseline.
    assert [each["window_start"] for each in preview["alarms"]] == [alarm["window_start"]]
    assert (preview["count"], preview["standing"], held["standing"]) == (1, "alarmed", "alarmed")
    assert preview["expected"]["a_week"] == pytest.approx(1)
    baseline = rest.ask("get", f"monitors/{made['id']}/baselines")["items"][0]
    assert baseline["start"] == preview["baselines"][0]["start"]
    assert baseline["centre"] == pytest.approx(preview["baselines"][0]["centre"])
    assert alarm["is_page"] is False  # it is older than its monitor

    points = rest.ask("get", f"monitors/{made['id']}/points?limit=100")
    more = rest.ask("get", points["next"].partition("/api/v1/")[2])
    assert (len(points["items"]), points["items"][-1]["end"]) == (100, more["items"][0]["start"])
    assert preview["windows"] == len(rest.ask("get", f"monitors/{made['id']}/points?limit=5000")["items"])

    assert rest.ask("patch", f"alarms/{alarm['id']}", {"state": "acknowledged"})["state"] == "acknowledged"
    assert fields(rest.ask("patch", f"alarms/{alarm['id']}", {"state": "closed"}, 400)) == {"verdict"}
    closed = rest.ask("patch", f"alarms/{alarm['id']}", {"state": "closed", "verdict": "real", "note": "a deploy"})
    assert (closed["state"], closed["verdict"], closed["note"]) == ("closed", "real", "a deploy")
    assert [each["id"] for each in rest.ask("get", "alarms?state=closed&verdict=real")["items"]] == [alarm["id"]]
    assert rest.ask("post", f"monitors/{made['id']}/baselines/{baseline['id']}/approve")["approved_at"]
    anew = rest.ask("post", f"monitors/{made['id']}/baselines", {"reason": "the new normal"})
    assert anew["learns_from"] > baseline["end"]


def test_another_chart_ends_the_alarms_of_the_old_one(rest, alarmed):
    made, _ = alarmed
    assert Alarm.objects.get().state == "open"

    rest.change(made, direction="both")

    alarm = Alarm.objects.get()
    assert (alarm.state, alarm.ended_at is not None) == ("ended", True)
    held = rest.ask("get", f"monitors/{made['id']}")
    assert (held["standing"], held["open_alarm"], held["decided_to"]) == ("learning", None, None)


def test_a_back_test_names_what_it_cannot_replay(rest, alarmed):
    made, _ = alarmed
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()

    assert fields(rest.ask("post", "monitors/backtest", {"definition": {"name": "x"}}, 400)) == {"metric"}
    assert fields(rest.ask("post", "monitors/backtest", {}, 400)) == {"definition"}
    assert fields(rest.ask("post", "monitors/backtest", {"definition": ERRORS, "from": soon}, 400)) == {"from"}
    assert fields(rest.ask("post", "monitors/backtest", {"definition": ERRORS, "from": 7}, 400)) == {"from"}
    long = {"definition": {**ERRORS, "window_minutes": 1}, "from": "2020-01-01T00:00:00Z"}
    assert fields(rest.ask("post", "monitors/backtest", long, 400)) == {"from"}
    assert fields(rest.ask("get", f"monitors/{made['id']}/backtest?from=never", status=400)) == {"from"}


def test_back_tests_wait_for_each_other_and_say_so(rest, alarmed, monkeypatch):
    made, _ = alarmed
    monkeypatch.setattr(backtesting, "WAIT_SECONDS", 0.01)

    with backtesting.room():
        told = rest.ask("get", f"monitors/{made['id']}/backtest", status=503)

    assert "try again in a moment" in told["detail"]
    assert rest.ask("get", f"monitors/{made['id']}/backtest")["count"] == 1


def test_a_fixed_limit_says_what_it_alarms_by_chance(rest, alarmed):
    fixed = {**ERRORS, "name": "Fixed", "method": "fixed", "threshold": {"limit": 0.04}}

    found = rest.ask("post", "monitors/backtest", {"definition": fixed})

    assert (found["arl0"], found["costs"]) == (None, [])
    assert found["expected"]["a_week"] > 0
    assert "by chance alone at" in found["expected"]["words"]
    chart = rest.ask("post", "monitors/backtest", {"definition": {**ERRORS, "name": "Twin"}})
    assert chart["costs"][0]["hours_after"] > chart["costs"][0]["hours_before"]
