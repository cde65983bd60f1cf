"""The change log through REST: told, told again, corrected, removed, read back and kept to its scope."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import orjson
import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telltale.audit.models import AuditEntry
from telltale.lib.faults import ItemRefused
from traces import changelog
from traces.changing.items import read_change
from traces.models import Change as Row
from traces.read.changelog import ChangeFilter, changes_between, each_change

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def now(db):
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def rest(shop):
    def ask(method, path="", body=None, *, who="read write", of=None, status=200):
        headers = shop.key(who, of=of or shop.project)
        data = b"" if body is None else orjson.dumps(body)
        answer = shop.nobody.generic(method, f"/api/v1/changes{path}", data, "application/json", headers=headers)
        assert answer.status_code == status, answer.content
        return answer.json() if "json" in answer.headers.get("Content-Type", "") else answer

    return ask


def put(project, *items, **by):
    return changelog.put_changes(project, items, changelog.By(**by))


def deploy(version, at=NOON, **more):
    return {"kind": "deploy", "version": version, "at": at.isoformat(), **more}


def test_a_deploy_by_a_pipeline_is_told_once_however_often_it_is_sent(rest):
    told = deploy("1.8.2", service="api", client_id="run-17", source="ci", url="https://ci.example.com/17")

    first = rest("POST", body=told)
    again = rest("POST", body=told)
    longer = rest("POST", body=told | {"ended_at": (NOON + HOUR).isoformat()})

    assert [each["items"][0]["status"] for each in (first, again, longer)] == ["accepted", "unchanged", "updated"]
    assert len({each["items"][0]["id"] for each in (first, again, longer)}) == 1
    (item,) = rest("GET")["items"]
    assert item["title"] == "Deploy 1.8.2"
    assert (item["source"], item["author"], item["service"], item["feature"]) == ("ci", "API key test", "api", None)
    assert item["ended_at"] == "2026-11-21T13:00:00Z"
    assert rest("GET", f"/{item['id']}") == item


def test_told_again_without_a_time_a_change_keeps_its_own(rest, now):
    told = {"kind": "deploy", "version": "1", "client_id": "run-1"}
    rest("POST", body=told)
    now.move_to(NOON + HOUR)

    again = rest("POST", body=told)
    ended = rest("POST", body=told | {"ended_at": (NOON + HOUR / 2).isoformat()})
    alone = rest("POST", body={"kind": "deploy", "version": "2", "ended_at": (NOON - HOUR).isoformat()})

    assert [each["items"][0]["status"] for each in (again, ended, alone)] == ["unchanged", "updated", "accepted"]
    times = {item["version"]: (item["at"], item["ended_at"]) for item in rest("GET")["items"]}
    assert times == {
        "1": ("2026-11-21T12:00:00Z", "2026-11-21T12:30:00Z"),
        "2": ("2026-11-21T11:00:00Z", "2026-11-21T11:00:00Z"),
    }


def test_an_end_before_the_begin_that_is_stored_moves_the_begin(rest):
    rest("POST", body=deploy("1", NOON + HOUR, client_id="a"))

    rest("POST", body={"kind": "deploy", "version": "1", "client_id": "a", "ended_at": NOON.isoformat()})

    (item,) = rest("GET")["items"]
    assert item["at"] == item["ended_at"] == "2026-11-21T12:00:00Z"


def test_each_of_many_is_judged_alone(rest):
    bad = {"kind": "war", "at": "yesterday", "url": "javascript:alert(1)", "details": [], "colour": "red"}

    told = rest("POST", body={"changes": [deploy("1"), bad, {"kind": "note"}, deploy("2", client_id="a"),
                                          deploy("3", client_id="a")]})  # fmt: skip

    assert [each["status"] for each in told["items"]] == ["accepted", "rejected", "rejected", "superseded", "accepted"]
    assert {error["field"] for error in told["items"][1]["errors"]} == {"kind", "at", "url", "details", "colour"}
    assert told["items"][2]["errors"][0]["field"] == "name"
    assert told["items"][3]["id"] == told["items"][4]["id"]
    assert [each["version"] for each in rest("GET")["items"]] == ["3", "1"]


def test_nothing_that_can_be_kept_is_a_400_that_names_each_field(rest):
    problem = rest("POST", body=[{"kind": "deploy"}, 7], status=400)
    empty = rest("POST", body=[], status=400)
    many = rest("POST", body=[deploy("1")] * 501, status=400)

    assert [error["field"] for error in problem["errors"]] == ["changes[0].name", "changes[1].item"]
    assert empty["errors"][0]["limit"] == many["errors"][0]["limit"] == "1 to 500 changes"


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"at": (NOON + timedelta(days=2)).isoformat()}, "at"),
        ({"at": "1066-10-14T09:00:00Z"}, "at"),
        ({"at": NOON.isoformat(), "ended_at": (NOON - HOUR).isoformat()}, "ended_at"),
        ({"version": "x" * 201}, "version"),
        ({"version": "a\nb"}, "version"),
        ({"version": 7}, "version"),
        ({"version": "1", "release": "2"}, "release"),
        ({"note": "x" * 4001}, "note"),
        ({"url": "https://"}, "url"),
        ({"url": "http://[::1"}, "url"),
        ({"details": {"a": "x" * 17_000}}, "details"),
        ({"source": "derived"}, "source"),
        ({"service": "x" * 1025}, "service"),
        ({"name": "to\x00p"}, "name"),
        ({"version": "1\x00"}, "version"),
    ],
)
def test_what_cannot_be_kept_names_its_field(told, field):
    with pytest.raises(ItemRefused) as refused:
        read_change({"kind": "deploy", "name": "api"} | told, NOON)

    assert [fault.field for fault in refused.value.faults] == [field]
    assert refused.value.faults[0].limit


def test_a_release_is_a_version_and_text_is_made_storable():
    change = read_change({"kind": "deploy", "release": "1.0", "note": "a\x00b\ud800", "details": {"n": 2**70}}, NOON)

    assert change.version == "1.0"
    assert change.note == "a\ufffdb\ufffd"
    assert change.at == NOON
    orjson.dumps(change.details)


def test_a_correction_says_what_it_changed_and_the_audit_log_keeps_what_was(rest, shop):
    told = rest("POST", body=deploy("1.8.2", note="first"))["items"][0]["id"]

    shown = rest("PATCH", f"/{told}", {"note": "second", "release": "1.8.3"})
    rest("PATCH", f"/{told}", {"client_id": "other"}, status=400)
    rest("PATCH", f"/{told}", {"source": "ci"}, status=400)
    rest("PATCH", f"/{told}", {"ended_at": (NOON - HOUR).isoformat()}, status=400)
    rest("PATCH", f"/{told}", {}, status=400)

    assert (shown["note"], shown["version"], shown["source"]) == ("second", "1.8.3", "api")
    entry = AuditEntry.objects.get(action="change.edit")
    assert entry.before == {"note": "first", "version": "1.8.2"}
    assert entry.after == {"note": "second", "version": "1.8.3"}
    assert entry.actor.startswith("key ")


def test_a_removed_change_is_gone_and_may_be_told_again(rest, shop):
    told = rest("POST", body=deploy("1", client_id="a"))["items"][0]["id"]

    rest("DELETE", f"/{told}", status=204)

    rest("GET", f"/{told}", status=404)
    rest("DELETE", f"/{told}", status=404)
    rest("PATCH", f"/{told}", {"note": "x"}, status=404)
    assert AuditEntry.objects.get(action="change.remove").before["version"] == "1"
    assert rest("POST", body=deploy("1", client_id="a"))["items"][0]["status"] == "accepted"


def test_changes_are_their_projects_alone_and_keys_need_their_scope(rest, shop):
    told = rest("POST", body=deploy("1"))["items"][0]["id"]

    assert rest("GET", of=shop.elsewhere)["items"] == []
    for method in ("GET", "PATCH", "DELETE"):
        rest(method, f"/{told}", {"note": "x"} if method == "PATCH" else None, of=shop.elsewhere, status=404)
    rest("POST", body=deploy("2"), who="read", status=403)
    rest("POST", body=deploy("2"), who="ingest", status=403)
    rest("GET", "/abc", status=404)
    rest("GET", "/99999999999999999999", status=404)


def test_pages_meet_at_their_cursors_in_both_directions(rest):
    rest("POST", body=[deploy(str(n), NOON - HOUR * (n // 2)) for n in range(7)])

    first = rest("GET", "?limit=3")
    second = rest("GET", "?limit=3&cursor=" + first["next"].split("cursor=")[1].split("&")[0])
    third = rest("GET", "?limit=3&cursor=" + second["next"].split("cursor=")[1].split("&")[0])
    back = rest("GET", "?limit=3&cursor=" + third["previous"].split("cursor=")[1].split("&")[0])

    versions = [[item["version"] for item in page["items"]] for page in (first, second, third)]
    assert versions == [["1", "0", "3"], ["2", "5", "4"], ["6"]]
    assert (first["previous"], third["next"]) == (None, None)
    assert back["items"] == second["items"]
    rest("GET", "?cursor=nonsense", status=400)


def test_a_list_is_filtered_by_kind_source_scope_time_and_text(rest):
    rest("POST", body=[
        deploy("1", NOON - HOUR * 5, service="api", ended_at=(NOON - HOUR * 2).isoformat()),
        deploy("2", service="web"),
        {"kind": "prompt", "name": "support-answer", "version": "14", "feature": "support", "source": "ci"},
        {"kind": "note", "note": "Black Friday", "at": (NOON - HOUR).isoformat()},
    ])  # fmt: skip

    def found(query):
        return {item["title"] for item in rest("GET", f"?{query}")["items"]}

    assert found("kind=prompt&kind=note") == {"Prompt support-answer: 14", "Note: Black Friday"}
    assert found("source=ci") == {"Prompt support-answer: 14"}
    assert found("service=api") == {"Deploy 1", "Prompt support-answer: 14", "Note: Black Friday"}
    assert found("feature=search") == {"Deploy 1", "Deploy 2", "Note: Black Friday"}
    assert found("from=2026-11-21T09:30:00Z&to=2026-11-21T10:00:00Z") == {"Deploy 1"}
    assert found("q=black") == {"Note: Black Friday"}
    assert found("q=100%25") == set()
    for bad in ("kind=war", "source=me", "from=x", "from=2026-11-22T00:00:00Z&to=2026-11-21T00:00:00Z", "colour=red"):
        rest("GET", f"?{bad}", status=400)


def test_the_list_is_a_file_too(rest):
    rest("POST", body=deploy("=1+1", details={"commit": "abc"}))

    answer = rest("GET", "?format=csv")

    (row,) = csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode()))
    assert (row["version"], row["details"], row["feature"]) == ("'=1+1", '{"commit":"abc"}', "")


def test_charts_ask_once_for_what_touches_their_window_and_scope(shop):
    put(shop.project, deploy("early", NOON - HOUR * 9), deploy("rolled", NOON - HOUR * 5, feature="search",
        ended_at=(NOON - HOUR * 3).isoformat()), deploy("all", NOON - HOUR), deploy("late", NOON))  # fmt: skip

    with CaptureQueriesContext(
        connection,
    ) as queries:
        found = changes_between(shop.project.pk, NOON - HOUR * 4, NOON, features=["search", None])
    other = changes_between(shop.project.pk, NOON - HOUR * 4, NOON, features=["support"])
    latest = changes_between(shop.project.pk, NOON - HOUR * 10, NOON, limit=1)

    assert [change.version for change in found] == ["rolled", "all"]
    assert sum("traces_change" in query["sql"] for query in queries) == 1
    assert [change.version for change in other] == ["all"]
    assert [change.label for change in latest] == ["all"]


def test_what_traces_show_is_not_said_again_where_somebody_told_it(shop):
    def derived(origin, **more):
        Row.objects.create(project=shop.project, source="derived", origin=origin, **({"at": NOON} | more))

    derived("a", kind="deploy", version="1.8.2", service="api")
    derived("b", kind="deploy", version="1.8.2", service="web")
    derived("c", kind="prompt", name="answer", version="3")
    put(shop.project, deploy("1.8.2", NOON - HOUR, service="api"))
    put(shop.project, {"kind": "prompt", "name": "other", "version": "3"}, deploy("1.8.2", NOON - timedelta(days=9)))

    found = [(change.title, change.service, change.is_derived) for change in each_change(
        shop.project.pk, ChangeFilter(start=NOON - timedelta(days=2)))]  # fmt: skip

    assert sorted(found) == [
        ("Deploy 1.8.2", "api", False), ("Deploy 1.8.2", "web", True), ("Prompt answer: 3", "", True),
        ("Prompt other: 3", "", False),
    ]  # fmt: skip


def test_a_loop_gone_wrong_stops_at_the_cap_of_a_project(shop, monkeypatch):
    monkeypatch.setattr(changelog, "CHANGES_MAX", 3)

    assert {result.status for result in put(shop.project, deploy("1"), deploy("2"))} == {"accepted"}
    (first, second) = put(shop.project, deploy("3"), deploy("4"))

    assert (first.status, second.faults[0].limit) == ("rejected", "3 changes in a project")
    assert Row.objects.count() == 2
