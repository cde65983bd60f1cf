"""The drift page and its REST: a sentence borne out by tests, examples side by side, acts recorded."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import drifting
from alerts.drifting import reports
from alerts.models import DriftReference, DriftReport, DriftSettings
from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import ProjectMember
from tests.alerts.drift_kit import ENCODER, day_start, fetch, store_day
from tests.evals.documented import commands
from tests.evals.documented import run as run_documented
from tests.evals.judging_kit import make_connection, store_traces
from traces.read import TooSlow

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/drift/"
REST = "/api/v1/drift"


def read(client, query="", status=200, page=PAGE):
    answer = client.get(page + query)
    assert answer.status_code == status, answer.content[:500]
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


def fill(project, *, days=8, n=80, now=120, shares=(1, 1, 1, 1.2)):
    """A week and a day of steady traffic, then a day with a new topic, and its reports."""
    for ago in range(days + 1, 1, -1):
        store_day(project, ago, n, (1, 1, 1, 0), seed=ago)
    ids = store_day(project, 1, now, shares, seed=77, chars=60, tools=("refund",))
    reports.tend_project(project)
    return ids


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A tenth of the permutations, and a series of days as long as a test needs."""
    monkeypatch.setattr("alerts.drift.report.PERMUTATIONS", 99)
    monkeypatch.setattr("alerts.drifting.reports.SERIES_DAYS", 1)
    monkeypatch.setattr("alerts.drifting.reports.WINDOWS", (1, 7))


@pytest.fixture
def alices(alice, project, sign_in):
    return sign_in(alice)


@pytest.fixture
def bobs(bob, sign_in):
    return sign_in(bob)


@pytest.fixture
def headers(key):
    return {"Authorization": f"Bearer {key.secret}"}


def call(client, method, path, headers, body=None, status=200):
    more = {} if body is None else {"data": orjson.dumps(body), "content_type": "application/json"}
    answer = getattr(client, method)(path, headers=headers, **more)
    assert answer.status_code == status, answer.content
    return answer.json()


# --- states ---------------------------------------------------------------------------------------------------------


def test_an_empty_project_says_what_to_send_and_a_learning_one_how_far_it_is(alices, project):
    assert "Nothing sampled yet" in read(alices)

    store_day(project, 2, 120, (1, 1, 1, 0), seed=1)
    reports.tend_project(project)
    learning = read(alices)
    assert "Learning what is normal: 120 of 500 inputs" in learning
    assert "<h1>Drift is off" not in learning

    DriftSettings.objects.create(project=project, is_on=False)
    assert "Drift is off" in read(alices)


def test_the_page_leads_with_what_moved_and_shows_texts_of_then_and_now(alices, project):
    fill(project)
    spoken = store_traces(project, 2, question="Can I return a gift?", answer="Yes, within 60 days.")
    report = DriftReport.objects.get(reference__feature=None, reference__side="input", days=7)
    group = next(each for each in report.body["groups"] if each["key"] == "new:0")
    group["current_traces"] = [spoken[0].hex, spoken[1].hex, "0" * 31 + "1"]
    report.save()

    page = read(alices)

    heading = re.search("<h1>(.*?)</h1>", page)[1]
    assert heading.startswith("A new kind of wording: “New group 1” is ")
    assert "This is lexical change: wording, not meaning" in page
    assert page.count("Can I return a gift?") == 1, "the same text once"
    assert f"/p/shop/traces/{spoken[0].hex}/" in page
    assert "Length of the output" in page
    assert "Shifted" in page
    assert "not approved" in page
    assert "semantic" not in page.lower().replace("semantic drift", "")


def test_groups_show_passages_and_scores_of_then_and_now_on_the_page_in_files_and_by_rest(
    alices, project, client, headers
):
    ids = fill(project)
    score = (
        "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name, data_type,"
        " number, judge_version_id, pi, made_at, updated_at)"
        " VALUES (%s, %s, 1, 1, %s, now(), %s, 1, %s, %s, %s, now(), now())"
    )
    with raw_cursor() as cursor:
        cursor.execute("UPDATE alerts_sample SET passages = 3 WHERE trace_id = ANY(%s)", [ids])
        for at, trace_id in enumerate(ids):
            cursor.execute(score, [project.pk, at + 1, trace_id, "correctness", 4.0, 7, 0.5])
        # Of another version, and of a trace picked by hand: neither is mixed in.
        cursor.execute(score, [project.pk, 900, ids[0], "correctness", 1.0, 8, 0.5])
        cursor.execute(score, [project.pk, 901, ids[0], "tone", 1.0, 7, None])
    reports.refresh(project, None)

    page = read(alices)
    rows = list(csv.DictReader(io.StringIO(b"".join(alices.get(f"{PAGE}?format=csv&what=groups")).decode())))
    side = call(client, "get", f"{REST}?days=7", headers)["sides"][0]["report"]

    assert "Judge score<small>correctness</small>" in page
    assert "unknown → 3.0" in page
    assert "unknown → 4.00" in page
    own = [row for row in rows if row["side"] == "input"]
    assert sum(int(row["n_score_current"]) for row in own) == len(ids)
    assert {row["score_current"] for row in own if row["n_score_current"] != "0"} == {"4.0"}
    assert {row["passages_reference"] for row in own} == {""}
    assert side["scored_by"] == "correctness"
    assert sum(group["passages"]["n_current"] for group in side["groups"]) == len(ids)
    assert {group["passages"]["reference"] for group in side["groups"]} == {None}


def test_steady_traffic_reads_as_quiet(alices, project):
    for ago in range(12, 0, -1):
        store_day(project, ago, 80, (1, 1, 1, 0), seed=ago)
    reports.tend_project(project)

    heading = re.search("<h1>(.*?)</h1>", read(alices))[1]

    assert heading in ("Inputs look like the reference", "Outputs look like the reference")


def test_a_page_costs_the_same_however_much_there_is(alices, project):
    fill(project, n=80)
    read(alices)
    with CaptureQueriesContext(connection) as few:
        read(alices)
    for ago in range(1, 4):
        store_day(project, ago, 200, (1, 1, 1, 1), seed=200 + ago)
    reports.tend_project(project, clock.now() + timedelta(hours=30))
    with CaptureQueriesContext(connection) as many:
        read(alices)

    assert len(many) <= len(few) <= 25


@pytest.mark.parametrize(
    "query",
    ["?days=2", "?days=%00", "?feature=%00", "?feature=" + "x" * 300, "?days=" + "9" * 400, "?format=exe",
     "?format=csv&what=../x", "?feature=%F0%9F%8E%81&feature.missing=yes"],
)  # fmt: skip
def test_odd_addresses_are_answered(alices, project, query):
    fill(project, now=0)

    answer = alices.get(PAGE + query)

    assert answer.status_code == 200
    b"".join(answer) if answer.streaming else answer.content


def test_a_question_that_takes_too_long_is_said(alices, project, monkeypatch):
    def slow(*_):
        raise TooSlow

    monkeypatch.setattr("alerts.pages.drift.encoders_of", slow)

    assert "This took too long" in read(alices, status=503)


def test_files_hold_what_the_page_shows(alices, project):
    fill(project)

    def rows(what):
        answer = alices.get(f"{PAGE}?format=csv&what={what}")
        return list(csv.DictReader(io.StringIO(b"".join(answer).decode())))

    fields, groups, days = rows("fields"), rows("groups"), rows("days")
    assert {row["side"] for row in fields} == {"input", "output"}
    assert next(row for row in fields if row["field"] == "output_length")["state"] == "shifted"
    assert sum(int(row["n_current"]) for row in groups if row["side"] == "input") == 200
    assert len(days) == 2


def test_a_stranger_finds_nothing_and_a_viewer_changes_nothing(project, bobs, charlie, sign_in):
    fill(project)
    stranger = sign_in(charlie)
    reference = DriftReference.objects.first().pk
    acts = [
        ("freeze/", {}),
        ("update/", {}),
        ("settings/", {"cap_a_day": "500"}),
        (f"references/{reference}/approve/", {}),
        (f"references/{reference}/rename/", {"topic": 0, "name": "x"}),
    ]

    assert stranger.get(PAGE).status_code == 404
    assert bobs.get(PAGE).status_code == 200
    for path, typed in acts:
        assert stranger.post(PAGE + path, typed).status_code == 404
        assert bobs.post(PAGE + path, typed).status_code == 403
    assert "Freeze a new reference" not in read(bobs)
    assert not AuditEntry.objects.filter(action__startswith="drift.").exists()


# --- acts -----------------------------------------------------------------------------------------------------------


def test_a_reference_is_approved_renamed_and_replaced_by_recorded_acts(alices, project):
    fill(project)
    held = DriftReference.objects.get(feature=None, side="input")

    alices.post(f"{PAGE}references/{held.pk}/approve/")
    alices.post(f"{PAGE}references/{held.pk}/rename/", {"topic": "0", "name": " Refund  status "})
    alices.post(f"{PAGE}references/{held.pk}/rename/", {"topic": "1", "name": "refund status"})
    alices.post(f"{PAGE}references/{held.pk}/rename/", {"topic": "1", "name": "Outside"})
    alices.post(f"{PAGE}references/{held.pk}/rename/", {"topic": "99", "name": "x"})
    page = read(alices)
    assert "Refund status" in page
    assert "approved by Alice" in page

    first, last = day_start(9).date().isoformat(), day_start(1).date().isoformat()
    typed = {"from": first, "to": last, "reason": "Gifts are normal now"}
    answer = alices.post(f"{PAGE}freeze/", typed, follow=True)
    assert "A new reference of inputs and outputs is in force" in answer.content.decode()

    held.refresh_from_db()
    assert (held.state, held.learned["names"][0]) == ("replaced", "Refund status")
    new = DriftReference.objects.get(feature=None, side="input", state="in_force")
    assert (new.n, new.reason, new.approved_by.name) == (760, "Gifts are normal now", "Alice")
    told = AuditEntry.objects.filter(action__startswith="drift.").order_by("pk")
    assert list(told.values_list("action", flat=True)) == ["drift.approve", "drift.rename", "drift.freeze"]
    work.run_next()
    assert "Gifts are normal now" in read(alices)
    assert DriftReport.objects.filter(reference=new, days=7).exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"from": "2026-01-01", "to": "2026-01-02", "reason": "x"}, "too few vectors"),
        ({"from": "x", "to": "2026-01-02", "reason": "x"}, "is no day"),
        ({"from": "9999-12-31", "to": "9999-12-31", "reason": "x"}, "out of range"),
        ({"from": "2020-01-01", "to": "2026-01-02", "reason": "x"}, "too far"),
        ({"from": "2026-01-02", "to": "2026-01-01", "reason": "x"}, "must be before"),
        ({"from": "2026-01-01", "to": "2026-01-02", "reason": " "}, "is missing"),
        ({}, "is no day"),
    ],
)
def test_what_cannot_be_frozen_is_said_and_changes_nothing(alices, project, typed, words):
    fill(project, now=0)
    before = list(DriftReference.objects.order_by("pk").values_list("pk", "state"))

    answer = alices.post(f"{PAGE}freeze/", typed, follow=True)

    assert words in answer.content.decode()
    assert list(DriftReference.objects.order_by("pk").values_list("pk", "state")) == before


def test_settings_are_kept_recorded_and_looked_back_for(alices, project):
    made = make_connection(project)
    typed = {"is_on": "on", "encoder": "endpoint", "connection_id": str(made.pk), "model": "small",
             "cap_a_day": "1,500", "budget_usd_day": "0.25", "budget_calls_day": "",
             "fields": "tier, device"}  # fmt: skip

    answer = alices.post(f"{PAGE}settings/", typed, follow=True)

    assert "embedded in the background" in answer.content.decode()
    row = DriftSettings.objects.get(project=project)
    assert (row.encoder, row.connection_id, row.cap_a_day, row.budget_pico_day, row.fields) == (
        "endpoint", made.pk, 1500, 250_000_000_000, ["tier", "device"],
    )  # fmt: skip
    assert AuditEntry.objects.get(action="drift.settings").after["model"] == "small"
    assert Job.objects.get(kind="alerts.fill_drift").state == "pending"
    alices.post(f"{PAGE}settings/", typed)
    assert AuditEntry.objects.filter(action="drift.settings").count() == 1


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cap_a_day", "5", "out of range"), ("cap_a_day", "", "is missing"), ("encoder", "magic", "is not known"),
        ("encoder", "minilm", "is not installed"), ("encoder", "endpoint", "needs a connection"),
        ("connection_id", "987654321", "is no connection"), ("budget_usd_day", "-1", "out of range"),
        ("budget_usd_day", "abc", "is no number"), ("fields", "a,b,c,d,e,f", "too many keys"),
        ("fields", "x" * 101, "no metadata key"), ("model", "x" * 201, "no name of a model"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused_by_field(alices, project, field, value, words):
    typed = {"is_on": "on", "encoder": "lexical", "connection_id": "", "model": "", "cap_a_day": "2000",
             "budget_usd_day": "1", "budget_calls_day": "", "fields": "", field: value}  # fmt: skip

    answer = alices.post(f"{PAGE}settings/", typed)

    assert answer.status_code == 400
    assert words in unescape(answer.content.decode())
    assert not DriftSettings.objects.exists() or DriftSettings.objects.get().encoder == "lexical"


# --- REST -----------------------------------------------------------------------------------------------------------


def test_rest_tells_what_the_page_shows(client, project, headers):
    fill(project)

    told = call(client, "get", f"{REST}?days=7", headers)
    one = call(client, "get", f"{REST}?feature=returns&days=1", headers)
    none = call(client, "get", f"{REST}?feature=", headers)

    assert (told["encoder"], told["called"], told["feature"]) == (ENCODER, "lexical change", None)
    side = told["sides"][0]
    assert side["sentence"].startswith("A new kind of wording")
    assert side["report"]["has_moved"]
    assert side["report"]["vectors"] == 200
    assert side["reference"]["approved_at"] is None
    assert side["report"]["groups"][0]["current"][0]["text"] is None
    assert one["sides"][1]["reference"]["feature"] == "returns"
    assert none["sides"][0]["report"] is None
    days = call(client, "get", f"{REST}/days", headers)["items"]
    assert len(days) == 2
    assert days[0]["mmd2"] > days[0]["chance_99"]


def test_rest_freezes_approves_and_renames(client, project, headers):
    fill(project)
    body = {"start": day_start(9).isoformat(), "end": day_start(0).isoformat(), "reason": "steady"}

    made = call(client, "post", f"{REST}/references", headers, body, 201)["items"]
    approved = call(client, "post", f"{REST}/references/{made[0]['id']}/approve", headers)
    named = call(client, "post", f"{REST}/references/{made[0]['id']}/rename", headers, {"topic": 0, "name": "Gifts"})
    every = call(client, "get", f"{REST}/references?replaced=true", headers)["items"]

    assert [each["side"] for each in made] == ["input", "output"]
    assert approved["approved_at"] is not None
    assert named["topics"][0] == "Gifts"
    assert len(every) == 6
    assert call(client, "get", f"{REST}/references/{every[-1]['id']}", headers)["state"] in ("in_force", "replaced")
    assert AuditEntry.objects.get(action="drift.freeze").actor.startswith("key ")
    assert call(client, "post", f"{REST}/update", headers, {}, 201)["job"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "x"}, "start"),
        ({"start": "2026-01-03T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "x"}, "start"),
        ({"start": "0001-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "x"}, "start"),
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z", "reason": "x", "encoder": "no"}, "encoder"),
        ({"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}, "reason"),
    ],
)
def test_rest_names_the_field_that_cannot_be_frozen(client, project, headers, body, field):
    fill(project, now=0)

    problem = call(client, "post", f"{REST}/references", headers, body, 400)

    assert problem["errors"][0]["field"] == field


def test_rest_keeps_settings_and_a_key_to_read_changes_none(client, project, headers):
    told = call(client, "patch", f"{REST}/settings", headers, {"cap_a_day": 700, "budget_usd_day": "0.5"})

    assert (told["cap_a_day"], told["budget_usd_day"], told["encoder"]) == (700, "0.5", "lexical")
    assert call(client, "get", f"{REST}/settings", headers) == told
    assert call(client, "patch", f"{REST}/settings", headers, {"budget_usd_day": None})["budget_usd_day"] is None
    for body, field in (({"cap_a_day": 5}, "cap_a_day"), ({"connection": 987_654_321}, "connection"), ({"x": 1}, "x")):
        problem = call(client, "patch", f"{REST}/settings", headers, body, 400)
        assert problem["errors"][0]["field"] == field


def test_the_examples_of_the_documentation_work(client, project, key):
    fill(project, now=0)

    answers = [run_documented(client, words, key.secret) for words in commands("drift.md")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert answers[2].json()["fields"] == ["tier"]


def test_reports_are_made_again_only_where_something_is_new(project):
    fill(project)
    made = fetch("SELECT count(*) FROM alerts_driftreport")[0][0]

    assert made == 4 * (1 + 2)
    assert reports.tend_project(project) == 0
    assert reports.tend_project(project, clock.now() + timedelta(hours=25)) > 0
    assert drifting.refresh(project, None) == 4
    assert fetch("SELECT count(*) FROM alerts_driftreport WHERE days > 0")[0][0] == 8


def test_another_encoder_needs_a_reference_of_its_own(project, alices):
    fill(project)
    store_day(project, 0, 30, (1, 1, 1, 0), seed=5, encoder="endpoint:small/32")

    assert "Learning what is normal" in read(alices)
    assert DriftReference.objects.filter(state="in_force", encoder=ENCODER).count() == 4


def test_a_reviewer_may_look(project, bob, sign_in):
    ProjectMember.objects.filter(user=bob).update(role="reviewer")
    fill(project, now=0)

    assert sign_in(bob).get(PAGE + "settings/").status_code == 200


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_drift_is_read_in_a_browser(project, page, alice, sign_in_browser, axe):
    fill(project)
    long = "Can I return a gift " + "without the very long receipt " * 8
    spoken = store_traces(project, 1, question=long, answer="Yes.")
    for report in DriftReport.objects.filter(days=7):
        for group in report.body["groups"]:
            group["current_traces"] = group["reference_traces"] = [spoken[0].hex]
        report.save()
    sign_in_browser(page, alice)
    for scheme, width in (("light", 1440), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        for address in (PAGE, PAGE + "settings/"):
            assert page.goto(address).status == 200
            assert axe(page) == [], (address, scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)

    page.goto(PAGE)
    page.get_by_role("button", name="Approve").first.focus()
    page.keyboard.press("Enter")
    page.get_by_text("approved by Alice").first.wait_for()
