"""Acts that change a project: done once by page and once by REST, each is one entry that says who, what and how."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from alerts.detectors.base import Baseline as Learned
from alerts.models import Baseline, Incident, Monitor
from evals.models import Connection
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.web.models import Archive
from tests.alerts.incident_kit import alarm_of, monitor_of
from tests.telltale.audit_kit import PAGE_FROM, Log, Rest, posted
from traces.models import ForwardTarget

pytestmark = pytest.mark.django_db
ERIN = "erin@example.com"
P, SETTINGS = "/p/shop/", "/p/shop/settings/"


@pytest.fixture
def log(house):
    return Log(house.shop)


@pytest.fixture
def rest(house, log):
    made = Rest(house.shop)
    log.secrets.add(made.secret)
    log.skip()
    return made


@pytest.fixture
def erin(house, log):
    client = house.sign_in("erin", REMOTE_ADDR=PAGE_FROM)
    log.skip()
    return client


def test_settings_and_retention(house, log, rest, erin):
    told = {
        "name": "Shop", "time_zone": "UTC", "retention_days": "80", "text_days": "20", "score_days": "365",
        "feature_names": "", "rule-TOTAL_FORMS": "0", "rule-INITIAL_FORMS": "0",
    }  # fmt: skip
    posted(erin, SETTINGS, told)
    log.one("project.settings", ERIN, target="shop",
            before={"retention_days": 90, "text_days": 30}, after={"retention_days": 80, "text_days": 20})  # fmt: skip
    posted(erin, SETTINGS, told)
    log.none()
    rest("PATCH", "project", {"score_days": 400})
    log.one("project.settings", rest.who, before={"score_days": 365}, after={"score_days": 400})
    posted(erin, f"{SETTINGS}retention/sweep/")
    log.one("retention.sweep", ERIN)
    rest("POST", "retention/sweep")
    log.one("retention.sweep", rest.who)


def test_prices_and_pricing_again(log, rest, erin):
    price = {"model": "house-7b", "input_fresh": "1.5", "output_text": "2", "source": "invoice"}
    posted(erin, f"{SETTINGS}prices/new/",
           {**price, "match": "exact", "tier": "standard", "effective_from": "2020-01-01"})  # fmt: skip
    log.one("price.add", ERIN, target="house-7b")
    made = rest("POST", "prices", {**price, "model": "house-8b"})
    log.one("price.add", rest.who, target="house-8b")
    now = rest("PUT", f"prices/{made['id']}", {**price, "model": "house-8b", "input_fresh": "1.75"})
    entry = log.one("price.correct", rest.who, target="house-8b")
    assert (entry.before["input_fresh"], entry.after["input_fresh"]) != (None, entry.before["input_fresh"])
    posted(erin, f"{SETTINGS}prices/{now['id']}/", {**price, "model": "house-8b", "match": "exact", "tier": "standard"})
    log.one("price.correct", ERIN, target="house-8b")
    items = rest("GET", "prices")["items"]
    mine = {row["model"]: row["id"] for row in items if row["model"].startswith("house-")}
    posted(erin, f"{SETTINGS}prices/{mine['house-7b']}/end/", {"at": "2026-06-01"})
    log.one("price.end", ERIN, target="house-7b")
    rest("DELETE", f"prices/{mine['house-8b']}")
    assert log.one("price.end", rest.who).target == "house-8b"

    asked = posted(erin, f"{SETTINGS}prices/again/", {"from": "2020-01-01", "to": "", "models": ""}).url
    log.none()  # a preview changes nothing
    work.run_next()
    applied = posted(erin, f"{asked}apply/").url
    log.one("price.reprice", ERIN, outcome="started")
    posted(erin, f"{applied}cancel/")
    log.one("price.reprice.cancel", ERIN)
    job = rest("POST", "reprice", {"start": "2026-01-01T00:00:00Z"})["id"]
    work.run_next()
    applied = rest("POST", f"reprice/{job}/apply")["id"]
    log.one("price.reprice", rest.who, outcome="started")
    work.run_next()
    log.one("price.reprice", "system", address=None)
    later = rest("POST", "reprice", {"start": "2026-01-01T00:00:00Z"})["id"]
    rest("DELETE", f"reprice/{later}")
    log.one("price.reprice.cancel", rest.who)


def test_masking(log, rest, erin):
    log.secrets.add("sk-live-9876543210")
    typed = {"mode": "mask", "kind": ["email"], "patterns": "", "features": ""}
    mode = rest("GET", "masking")["mode"]
    posted(erin, f"{SETTINGS}masking/", {**typed, "mode": mode})
    log.one("masking.change", ERIN)
    rest("PUT", "masking", {"mode": mode, "kinds": {"email": False}})
    log.one("masking.change", rest.who)
    posted(erin, f"{SETTINGS}masking/try/", {**typed, "mode": mode, "text": "sk-live-9876543210"}, 200)
    log.one("masking.try", ERIN)
    rest("POST", "masking/try", {"text": "sk-live-9876543210"})
    log.one("masking.try", rest.who)
    posted(erin, f"{SETTINGS}masking/reapply/")
    log.one("masking.reapply", ERIN, outcome="started")
    rest("POST", "masking/reapply", status=4)
    log.none()


def test_forwarding(log, rest, erin):
    log.secrets |= {"hunter2-token"}
    told = {"name": "Tempo", "url": "https://target.invalid/", "headers": "Authorization: hunter2-token"}
    posted(erin, f"{SETTINGS}forwarding/new/", told)
    log.one("forwarding.add", ERIN, target="Tempo")
    made = rest("POST", "forwarding",
                {"name": "Other", "url": "https://other.invalid/", "headers": {"x-key": "hunter2-token"}})  # fmt: skip
    log.one("forwarding.add", rest.who, target="Other")
    mine = ForwardTarget.objects.get(name="Tempo").pk
    posted(erin, f"{SETTINGS}forwarding/{mine}/", {**told, "name": "Tempo 2"})
    log.one("forwarding.change", ERIN)
    rest("PATCH", f"forwarding/{made['id']}", {"name": "Other 2"})
    log.one("forwarding.change", rest.who)
    posted(erin, f"{SETTINGS}forwarding/{mine}/pause/")
    log.one("forwarding.pause", ERIN)
    posted(erin, f"{SETTINGS}forwarding/{mine}/remove/")
    log.one("forwarding.remove", ERIN)
    rest("DELETE", f"forwarding/{made['id']}")
    log.one("forwarding.remove", rest.who)


def test_erasure_and_removal(house, log, rest, erin):
    log.secrets |= {"jane-the-customer", "john-the-customer"}
    posted(erin, f"{SETTINGS}privacy/erase/", {"kind": "user", "id": "jane-the-customer"})
    log.one("erasure.ask", ERIN)
    made = rest("POST", "erasures", {"kind": "user", "id": "john-the-customer"})
    log.one("erasure.ask", rest.who)
    for _ in range(2):
        work.run_next()
    done = log.new()
    assert {(e.action, e.actor, e.project_id) for e in done} == {("erasure.done", "system", house.shop.pk)}
    assert len(done) == 2
    rest("POST", f"erasures/{made['id']}/lift")
    log.one("erasure.lift", rest.who)
    alice = house.sign_in("alice", REMOTE_ADDR=PAGE_FROM)
    log.skip()
    posted(alice, f"{SETTINGS}privacy/remove/", {"slug": "shop"})
    log.one("project.remove", "alice@example.com", target="shop", outcome="asked")
    posted(alice, f"{SETTINGS}privacy/keep/")
    log.one("project.keep", "alice@example.com", target="shop")


def test_archives(log, rest, erin):
    log.secrets.add("jane-the-customer")
    posted(erin, f"{SETTINGS}exports/", {"user": "jane-the-customer"})
    log.one("project.export", ERIN, target="shop", after={"of": "one user"})
    made = rest("POST", "exports", {"csv": True})
    log.one("project.export", rest.who, after={"of": "the project", "csv": True})
    Job.objects.update(state="done")
    Archive.objects.update(finished_at=clock.now(), manifest={"parts": []})
    mine = Archive.objects.get(user_id="jane-the-customer").pk
    assert erin.get(f"{SETTINGS}exports/{mine}/file/").getvalue() is not None
    log.one("project.export.download", ERIN)
    rest.client.get(f"/api/v1/exports/{made['id']}/file").getvalue()
    log.one("project.export.download", rest.who)
    posted(erin, f"{SETTINGS}exports/{mine}/remove/")
    log.one("project.export.drop", ERIN)
    rest("DELETE", f"exports/{made['id']}")
    log.one("project.export.drop", rest.who)


def test_monitors_and_their_limits(log, rest, erin):
    told = {"metric": "errors", "name": "Errors", "method": "chart", "window_minutes": "60", "act": "save"}
    posted(erin, f"{P}monitors/new/", told)
    log.one("monitor.create", ERIN)
    made = rest("POST", "monitors", {"name": "Slow", "metric": "request_duration"})
    log.one("monitor.create", rest.who)
    mine = Monitor.objects.get(name="Errors").pk
    posted(erin, f"{P}monitors/{mine}/edit/", {**told, "severity": "0", "revision": "1"})
    log.one("monitor.change", ERIN, before={"severity": 2}, after={"severity": 0})
    rest("PATCH", f"monitors/{made['id']}", {"severity": 1})
    log.one("monitor.change", rest.who, after={"severity": 1})
    rest("PATCH", f"monitors/{made['id']}", {"severity": 1})
    log.none()
    posted(erin, f"{P}monitors/{mine}/switch/", {"act": "mute", "for": "8h"})
    log.one("monitor.mute", ERIN)
    rest("POST", f"monitors/{made['id']}/mute", {"until": (clock.now() + timedelta(hours=1)).isoformat()})
    log.one("monitor.mute", rest.who)
    for act in ("unmute", "off", "on", "archive", "restore"):
        posted(erin, f"{P}monitors/{mine}/switch/", {"act": act})
        log.one(f"monitor.{act}", ERIN)
    rest("PATCH", f"monitors/{made['id']}", {"is_on": False})
    log.one("monitor.off", rest.who)
    rest("DELETE", f"monitors/{made['id']}")
    log.one("monitor.archive", rest.who)
    posted(erin, f"{P}monitors/budget/", {"pages_a_week": "2"})
    log.one("budget.change", ERIN, before={"pages_a_week": 1.0}, after={"pages_a_week": 2.0})
    rest("PUT", "monitors/budget", {"pages_a_week": 3})
    log.one("budget.change", rest.who, after={"pages_a_week": 3.0})


def test_baselines_and_alarms(house, log, rest, erin):
    row = monitor_of(house.shop)
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 8, tzinfo=UTC)
    learned = {"detector": Learned("share", {"p": 0.01}, 900, 168, "windows", 7, 2_000.0).as_json(), "centre": 0.01}

    def proposed():
        return Baseline.objects.create(
            project=house.shop, monitor=row, chart_no=1, kind="share", start_at=start, end_at=end, n=900, windows=168,
            arl0=2_000.0, learned=learned, state="proposed",
        ).pk  # fmt: skip

    page, day = f"{P}monitors/{row.pk}/baseline/", (clock.now() - timedelta(days=2)).isoformat()
    posted(erin, page, {"act": "approve", "baseline": proposed()})
    log.one("baseline.approve", ERIN)
    posted(erin, page, {"act": "refuse", "baseline": proposed()})
    log.one("baseline.refuse", ERIN)
    posted(erin, page, {"act": "renew", "reason": "new prompt", "start": day})
    log.one("baseline.renew", ERIN)
    rest("POST", f"monitors/{row.pk}/baselines/{proposed()}/refuse")
    log.one("baseline.refuse", rest.who)
    rest("POST", f"monitors/{row.pk}/baselines", {"reason": "again", "start": day})
    log.one("baseline.renew", rest.who)
    rest("POST", f"monitors/{row.pk}/baselines/{proposed()}/approve")
    log.one("baseline.approve", rest.who)

    first, second = alarm_of(row), alarm_of(row, ago=3)
    posted(erin, f"{P}monitors/{row.pk}/alarms/{first.pk}/", {"act": "acknowledge"})
    log.one("alarm.acknowledge", ERIN)
    posted(erin, f"{P}monitors/{row.pk}/alarms/{first.pk}/", {"act": "close", "verdict": "false", "note": "a test"})
    log.one("alarm.close", ERIN)
    rest("PATCH", f"alarms/{second.pk}", {"state": "closed", "verdict": "real"})
    log.one("alarm.close", rest.who)


def test_cost_budgets(log, rest, erin):
    told = {"name": "Month", "of": "project", "limit_usd": "100", "period": "month", "tell_at": "80", "severity": "2"}
    page = posted(erin, f"{P}cost/budgets/new/", told).url
    log.one("cost_budget.create", ERIN, after={"limit_usd": "100"})
    made = rest("POST", "budgets", {"name": "Day", "of": "project", "limit_usd": "5", "period": "day"})
    log.one("cost_budget.create", rest.who)
    posted(erin, f"{page}edit/", {**told, "limit_usd": "200", "version": "1"})
    log.one("cost_budget.change", ERIN, before={"limit_usd": "100"}, after={"limit_usd": "200"})
    rest("PATCH", f"budgets/{made['id']}", {"limit_usd": "6"})
    log.one("cost_budget.change", rest.who)
    posted(erin, f"{page}act/", {"act": "archive"})
    log.one("cost_budget.archive", ERIN)
    rest("DELETE", f"budgets/{made['id']}")
    log.one("cost_budget.archive", rest.who)


def test_connections_rubrics_judges_and_plans(house, log, rest, erin, settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    log.secrets |= {"sk-model-key-1234567", "sk-model-key-7654321"}
    told = {
        "name": "House", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "timeout_seconds": "5",
        "at_a_time": "2", "calls_a_minute": "", "input_usd": "", "output_usd": "", "key": "sk-model-key-1234567",
    }  # fmt: skip
    posted(erin, f"{SETTINGS}connections/new/", told)
    log.one("connection.add", ERIN, target="House")
    other = rest("POST", "connections", {"name": "Two", "kind": "openai", "base_url": "http://127.0.0.1:9/v1",
                                         "key": "sk-model-key-7654321"})  # fmt: skip
    log.one("connection.add", rest.who, target="Two")
    mine = Connection.objects.get(name="House").pk
    posted(erin, f"{SETTINGS}connections/{mine}/", {**told, "name": "Our house", "key": ""})
    log.one("connection.change", ERIN)
    rest("PATCH", f"connections/{other['id']}", {"at_a_time": 3})
    log.one("connection.change", rest.who)
    posted(erin, f"{SETTINGS}connections/{other['id']}/archive/")
    log.one("connection.archive", ERIN)
    rest("PATCH", f"connections/{other['id']}", {"is_archived": False})
    log.one("connection.restore", rest.who)

    rubric = {
        "name": "Answers", "instructions": "Quote it.", "criteria": "1", "do": "save", "c-0-title": "Correctness",
        "c-0-key": "correctness", "c-0-scale": "1-5", "c-0-definition": "Every claim is in a document.",
        "c-0-anchors": "5: all claims supported\n1: a price is wrong", "c-0-flag": "2", "c-0-examples": "0",
    }  # fmt: skip
    posted(erin, f"{P}rubrics/new/", rubric)
    log.one("rubric.save", ERIN)
    brief = {"key": "brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
    rest("POST", "rubrics", {"name": "Format", "slug": "format", "spec": {"criteria": [brief]}})
    log.one("rubric.save", rest.who)
    posted(erin, f"{P}rubrics/answers/", {**rubric, "c-0-definition": "Every price is right."})
    assert log.one("rubric.save", ERIN).before["criteria"][0]["definition"] == "Every claim is in a document."
    posted(erin, f"{P}rubrics/answers/archive/")
    log.one("rubric.archive", ERIN)
    rest("PATCH", "rubrics/answers", {"is_archived": False})
    log.one("rubric.restore", rest.who)

    rules = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}
    rest("POST", "judges", {"name": "Brief", "slug": "brief", "kind": "rule", "rubric": "format", "config": rules})
    log.one("judge.save", rest.who)
    rest("POST", "judges/brief/live", {"version": 1})
    log.one("judge.live", rest.who)
    rest("PATCH", "judges/brief", {"name": "Briefly"})
    log.one("judge.change", rest.who)
    rules["rules"][0]["at_most"] = 30
    rest("PATCH", "judges/brief", {"config": rules})
    log.one("judge.save", rest.who, target="brief v2")
    page = f"{P}judges/brief/"
    for do, action in (("pause", "judge.pause"), ("resume", "judge.resume"), ("down", "judge.down")):
        posted(erin, f"{page}state/", {"do": do})
        log.one(action, ERIN)
    posted(erin, f"{page}state/", {"do": "live", "v": "2", "reason": "tried"})
    log.one("judge.live", ERIN)
    typed = {"kind": "random", "share": "50", "signal_share": "100", "rest": "5", "other": "5", "by": "feature"}
    posted(erin, f"{page}plan/", typed)
    log.one("plan.save", ERIN)
    rest("POST", "judges/brief/plan", {"spec": {"kind": "random", "share": 0.1}})
    log.one("plan.save", rest.who)
    posted(erin, f"{page}plan/end/")
    log.one("plan.end", ERIN)
    backfill = rest("POST", "backfills", {"judge": "brief", "query": "t=7d"})["id"]
    log.one("backfill.start", rest.who)
    posted(erin, f"{page}backfill/{backfill}/", {"do": "pause"})
    log.one("backfill.pause", ERIN)
    rest("PATCH", f"backfills/{backfill}", {"state": "cancelled"})
    log.one("backfill.cancel", rest.who)
    limits = {"budget_usd_day": "12.50", "budget_calls_day": "1000", "settle_seconds": "60"}
    posted(erin, f"{SETTINGS}evaluation/", limits)
    log.one("evaluation.settings", ERIN)
    rest("PATCH", "evaluation", {"budget_calls_day": 900})
    log.one("evaluation.settings", rest.who)


def test_incidents_their_steps_and_the_gate(house, log, rest, erin):
    shop = house.shop
    posted(erin, f"{P}incidents/new/", {"title": "Odd answers", "severity": "2", "feature": ""})
    log.one("incident.open", ERIN)
    rest("POST", "incidents", {"title": "Odd again", "severity": 3})
    log.one("incident.open", rest.who)
    numbers = sorted(Incident.objects.filter(project=shop).values_list("number", flat=True))
    act, api = f"{P}incidents/{numbers[0]}/act/", f"incidents/{numbers[1]}"
    posted(erin, act, {"act": "acknowledge"})
    log.one("incident.acknowledged", ERIN, target=f"INC-{numbers[0]}")
    rest("POST", f"{api}/assign", {"user_id": house.people.erin.pk})
    log.one("incident.assigned", rest.who, target=f"INC-{numbers[1]}")
    posted(erin, act, {"act": "severity", "severity": "1"})
    log.one("incident.severity", ERIN)
    posted(erin, act, {"act": "mute", "for": "1h"})
    log.one("incident.muted", ERIN)
    posted(erin, act, {"act": "comment", "text": "Looking."})
    log.one("incident.commented", ERIN)
    rest("PUT", f"{api}/steps/triage", {"outcome": {"words": "it is real", "verdict": "real"}})
    log.one("incident.step", rest.who)
    posted(erin, f"{P}incidents/{numbers[0]}/close/", {})
    log.one("incident.close", ERIN, outcome="refused")
    posted(erin, f"{P}incidents/{numbers[0]}/close/", {"override_reason": "A drill."})
    assert [(e.action, e.actor, e.address) for e in log.new()] == [
        ("incident.override", ERIN, PAGE_FROM), ("incident.close", ERIN, PAGE_FROM),
    ]  # fmt: skip
    rest("POST", f"{api}/close", {"override_reason": "A drill too."})
    assert [(e.action, e.actor) for e in log.new()] == [
        ("incident.override", rest.who), ("incident.close", rest.who),
    ]  # fmt: skip
    rest("PUT", "incidents/settings", {"cases_least": 3})
    log.one("incident.settings", rest.who, after={"cases_least": 3})


def test_channels_routes_and_silences(log, rest, erin):
    log.secrets |= {"secret-hook-path", "other-hook-path"}
    hook = {"name": "Hook", "url": "https://hooks.invalid/secret-hook-path"}
    posted(erin, f"{SETTINGS}channels/new/?kind=webhook", hook, 200)
    log.one("channel.add", ERIN)
    made = rest("POST", "channels", {"name": "Call", "kind": "webhook", "url": "https://hooks.invalid/other-hook-path"})
    log.secrets.add(made["signing_key"])
    log.one("channel.add", rest.who)
    rest("PATCH", f"channels/{made['id']}", {"name": "On call"})
    log.one("channel.change", rest.who)
    log.secrets.add(rest("POST", f"channels/{made['id']}/rotate")["signing_key"])
    log.one("channel.rotate", rest.who)
    route = rest("GET", f"channels/{made['id']}")["routes"][0]["id"]
    rest("DELETE", f"routes/{route}")
    log.one("route.remove", rest.who)
    rest("DELETE", f"channels/{made['id']}")
    log.one("channel.archive", rest.who)
    until = (clock.now() + timedelta(days=1)).isoformat()
    quiet = rest("POST", "silences", {"end_at": until, "reason": "Deploy"})["id"]
    log.one("silence.add", rest.who)
    posted(erin, f"{P}incidents/silences/{quiet}/end/")
    log.one("silence.end", ERIN)


def test_changes_outcomes_views_and_datasets(log, rest, erin):
    deploy = rest("POST", "changes", {"kind": "deploy", "version": "1.8.2"})["items"][0]["id"]
    log.none()  # telling is receiving: the log of changes says who told it
    rest("PATCH", f"changes/{deploy}", {"note": "By hand."})
    log.one("change.edit", rest.who, after={"note": "By hand."})
    posted(erin, f"{P}changes/{deploy}/remove/", {"remove": "yes"})
    log.one("change.remove", ERIN)
    told = {"name": "Sales", "spec": {"measure": "share", "of": [{"kind": "conversion"}]}}
    outcome = rest("POST", "outcomes", told)["slug"]
    log.one("outcome.add", rest.who)
    posted(erin, f"{P}outcomes/{outcome}/archive/")
    log.one("outcome.archive", ERIN)
    rest("POST", "datasets", {"name": "Set", "slug": "set"})
    log.one("dataset.add", rest.who)
    rest("POST", "datasets/set/items", {"items": [{"key": "k1", "input": "May I?", "expected": "Yes"}]})
    log.one("dataset.items", rest.who)
    posted(erin, f"{P}datasets/set/item/k1/remove/")
    log.one("dataset.items", ERIN)
