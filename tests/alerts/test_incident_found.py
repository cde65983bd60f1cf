"""Scope, isolate and respond by page and by REST: the same rules, what was found, what people said."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import looking
from alerts.models import Incident, ResponseMade
from alerts.monitors.types import Definition, Scope
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.keys import make_key
from telltale.projects.models import ProjectMember
from tests.alerts.scope_kit import add_requests, traffic
from tests.alerts.triage_kit import make_alarm, make_incident, make_monitor
from traces.changelog import By, put_changes

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
PAGE = "/p/shop/incidents/1/"


@pytest.fixture
def rita(project):
    """A reviewer: may work incidents."""
    person = User.objects.create(email="rita@example.com", name="Rita")
    ProjectMember.objects.create(project=project, user=person, role="reviewer")
    return person


@pytest.fixture
def found(project):
    """An incident with its reports: prompt v18 of returns, told in the log when it began."""
    return plant(project)


def plant(project):
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    began = now - 4 * HOUR

    def rate(row):
        return 0.7 if row["at"] >= began and row["prompt_version"] == "v18" else 0.03

    rows = traffic(
        3, 2_400, now - 24 * HOUR, 24, rate, feature=["returns", "<b>faq</b>"], prompt_version=["v17", "v18"]
    )
    for row in rows:
        row["prompt_version"] = row["prompt_version"] if row["at"] >= began else "v17"
        row["metadata"] = {"plan": "free" if row["feature"] == "returns" else "team"}
    add_requests(project, rows, with_spans=True)
    told = [
        {"kind": "prompt", "name": "returns", "version": "v18", "previous": "v17", "at": began.isoformat(),
         "details": {"temperature": 0.9}, "note": "<script>alert(1)</script>"},
        {"kind": "index", "name": "policies", "version": "7", "at": (began - 6 * HOUR).isoformat()},
    ]  # fmt: skip
    put_changes(project, told, By())
    definition = Definition("Errors of the shop", "errors", scope=Scope((), "name=chat"), window=HOUR, severity=1)
    incident = make_incident(project, make_alarm(make_monitor(project, definition), began))
    for kind in ("scope", "isolate"):
        looking.make(incident, kind)
    return incident


def text(answer):
    return answer.content.decode()


def post(client, step, **told):
    return client.post(f"{PAGE}{step}/", told, follow=True)


def test_the_page_shows_what_was_found_and_escapes_what_was_sent(found, alice, sign_in):
    page = text(sign_in(alice).get(PAGE))

    for words in (
        "More likely to be affected than the rest: prompt version v18", "times as likely",
        "prompt_version=v18", "Prompt returns: v17 → v18", "Strong", "the new one is worse", "It began",
        "What was left out", "temperature", "Record response", "Nothing was done",
    ):  # fmt: skip
        assert words in page, words
    assert "<script>alert" not in page
    assert "<b>faq</b>" not in page


def test_a_page_without_reports_says_that_they_are_being_made(project, alice, sign_in):
    make_incident(project, make_alarm(make_monitor(project, Definition("E", "errors")), clock.now() - HOUR))

    page = text(sign_in(alice).get(PAGE))

    assert "is being compared" in page
    assert "is being worked out" in page


def test_the_page_asks_as_many_questions_whatever_was_found(found, alice, sign_in):
    client = sign_in(alice)
    client.get(PAGE)
    with CaptureQueriesContext(connection) as full:
        client.get(PAGE)
    Incident.objects.get().reports.all().delete()
    with CaptureQueriesContext(connection) as empty:
        client.get(PAGE)

    assert len(full) == len(empty)


def test_people_go_through_the_steps_by_post(found, rita, sign_in):
    client = sign_in(rita)
    change = looking.reports_of(found.pk, 1)["isolate"].body["changes"][0]["id"]

    assert "draft is kept" in text(post(client, "scope", act="draft", note="Returns, I"))
    assert "Returns, I</textarea>" in text(client.get(PAGE))
    assert "scope is written" in text(post(client, "scope", act="finish", note="Returns on v18."))
    assert "Note is needed" in text(post(client, "scope", act="finish", note=" "))
    assert "noted what it began with" in text(post(client, "isolate", act="cause", change=change))
    page = text(
        post(client, "respond", act="record", kind="rollback", note="v17", url="https://ci.example/1", log="yes")
    )
    assert "The response is recorded" in page
    assert "In the change log" in page
    assert "Kind is not accepted" in text(post(client, "respond", act="record", kind="magic"))
    assert "At is no time" in text(post(client, "respond", act="record", kind="hotfix", at="soon"))
    for step in ("scope", "isolate", "respond"):
        assert "again" in text(post(client, step, act="again"))
        assert "nothing was done" in text(post(client, step, act="dance"))

    row = Incident.objects.get()
    assert (row.scope_note, row.cause_change) == ("Returns on v18.", change)
    made = ResponseMade.objects.get()
    assert made.change is not None
    assert "is taken back" in text(post(client, "respond", act="withdraw", response=made.pk))
    assert not ResponseMade.objects.exists()


def test_a_viewer_and_a_stranger_do_nothing(found, bob, charlie, sign_in):
    for step in ("scope", "isolate", "respond"):
        assert sign_in(bob).post(f"{PAGE}{step}/", {"act": "again"}).status_code == 403
        assert sign_in(charlie).post(f"{PAGE}{step}/", {"act": "again"}).status_code == 404


@pytest.fixture
def ask(project, client):
    key = make_key(project, "CI", ["read", "write"])

    def asked(method, path, body=None, status=200):
        more = {} if method == "get" else {"data": orjson.dumps(body or {}), "content_type": "application/json"}
        answer = getattr(client, method)(
            f"/api/v1/incidents/{path}", headers={"authorization": f"Bearer {key.secret}"}, **more
        )
        assert answer.status_code == status, (answer.status_code, answer.content[:500])
        return orjson.loads(answer.content) if answer.content else None

    return asked


def test_rest_tells_and_does_the_same(found, ask):
    scope = ask("get", "1/scope")
    first = scope["report"]["slices"][0]
    assert (scope["state"], first["name"], first["is_proposed"]) == ("done", "prompt version v18", True)
    assert "Prompt version v18" in scope["draft"]
    assert ask("put", "1/scope", {"note": "v18 alone"})["note"] == "v18 alone"
    ask("put", "1/scope", {"note": ""}, 400)
    ask("put", "1/scope", {"note": "x", "of_version": 0}, 409)
    isolate = ask("get", "INC-1/isolate")
    best = isolate["report"]["changes"][0]
    assert (best["match"], best["says"], best["contrast"]["old"]) == ("strong", "worse", "v17")
    assert isolate["report"]["onset"]["at"] is not None
    assert ask("put", "1/isolate", {"change": best["id"]})["cause_change"] == best["id"]
    ask("put", "1/isolate", {}, 400)
    ask("put", "1/isolate", {"change": 10**15}, 400)
    ask("delete", "1/isolate", status=204)
    made = ask("post", "1/responses", {"kind": "hotfix", "note": "v19", "log": True}, 201)
    assert made["change"] is not None
    ask("post", "1/responses", {"kind": "hotfix", "url": "ftp://x"}, 400)
    assert [one["id"] for one in ask("get", "1/responses")["items"]] == [made["id"]]
    looking.make(found, "recovery")
    recovery = ask("get", "1/recovery")
    assert (recovery["recovery"], recovery["response"]) == ("waiting", made["id"])
    assert recovery["series"][0]["words"] == "no window has been decided since the response"
    assert ask("post", "1/scope")["state"] == "waiting"
    ask("delete", f"1/responses/{made['id']}", status=204)
    ask("delete", f"1/responses/{made['id']}", status=404)
    for path in ("scope", "isolate", "recovery", "responses"):
        ask("get", f"7/{path}", status=404)


@pytest.mark.browser
def test_the_found_parts_fit_a_phone_and_have_no_violations(committed_db, project, alice, page, sign_in_browser, axe):
    plant(project)
    sign_in_browser(page, alice)

    page.goto(PAGE)
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
    assert axe(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    wide = page.evaluate("document.documentElement.scrollWidth")

    assert wide <= 390
