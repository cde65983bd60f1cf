"""The pages of the change log: listed, told, corrected and removed by people, in constant queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telltale.projects.models import Project, ProjectMember
from traces import changelog
from traces.models import Change as Row
from traces.read import TooSlow
from traces.read import changelog as read

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LIST = "/p/shop/changes/"


@pytest.fixture(autouse=True)
def now(db):
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def put(project, *items):
    return changelog.put_changes(project, items, changelog.By(name="Kim"))


def deploy(version, hours=1.0, **more):
    return {"kind": "deploy", "version": version, "at": (NOON - HOUR * hours).isoformat(), **more}


def page(client, path=LIST, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content
    return answer.content.decode()


def test_a_project_without_changes_says_how_they_come(shop):
    text = page(shop.alice)

    assert "No change yet" in text
    assert "/api/v1/changes" in text
    assert "Log a change" in text
    assert "Log a change" not in page(shop.bob)


def test_the_list_shows_what_changed_where_and_who_says_so(shop):
    put(shop.project, deploy("1.8.2", service="api", note="<b>hot</b> fix"))
    Row.objects.create(project=shop.project, kind="model", version="gpt-5", previous="gpt-4o", source="derived",
                       origin="x", at=NOON - HOUR * 2, details={"more_that_day": 7})  # fmt: skip

    text = page(shop.bob)

    assert "2 changes of what this project runs in the last 28 days" in text
    assert "Deploy 1.8.2" in text
    assert "&lt;b&gt;hot&lt;/b&gt; fix" in text
    assert "Model gpt-4o → gpt-5" in text
    assert "7 more of this kind were first seen that day" in text
    assert text.index("Deploy 1.8.2") < text.index("Model gpt-4o")


def test_filters_and_places_are_in_the_address(shop):
    put(shop.project, *(deploy(f"v{n:03}", n / 10) for n in range(120)), {"kind": "note", "note": "Sale"})

    first = page(shop.alice, LIST + "?kind=deploy")
    older = first.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    second = page(shop.alice, LIST + older)

    assert "v049" in first
    assert "v050" not in first
    assert "v050" in second
    assert "v049" not in second
    assert "Sale" not in first
    assert "Note: Sale" in page(shop.alice, LIST + "?q=sale")
    assert "No change matches" in page(shop.alice, LIST + "?kind=prompt")
    assert "names no place in this list" in page(shop.alice, LIST + "?before=nonsense")
    assert "window was not understood" in page(shop.alice, LIST + "?from=x&to=y")
    assert "v000" in page(shop.alice, LIST + "?kind=war&service=%00&source=%ff")


def test_the_list_asks_as_many_questions_for_a_hundred_changes_as_for_one(shop):
    put(shop.project, deploy("1"))
    with CaptureQueriesContext(connection) as few:
        page(shop.alice)
    put(shop.project, *(deploy(f"v{n}", service=f"s{n}") for n in range(100)))

    with CaptureQueriesContext(connection) as many:
        page(shop.alice)

    assert len(many) == len(few)


def test_a_change_told_by_hand_is_logged_in_the_projects_zone(shop):
    Project.objects.filter(pk=shop.project.pk).update(time_zone="Europe/Berlin")
    told = {"kind": "configuration", "name": "top_k", "version": "8", "previous": "4", "at": "2026-11-21 12:30",
            "feature": "search"}  # fmt: skip

    answer = shop.alice.post(LIST + "new/", told)

    assert answer.status_code == 302
    (change,) = read.each_change(shop.project.pk, read.ChangeFilter())
    assert (change.title, change.at) == ("Configuration top_k: 4 → 8", NOON - HOUR / 2)
    assert (change.source, change.author, change.feature) == ("page", "Alice", "search")
    assert "Configuration top_k: 4 → 8" in page(shop.alice)


def test_what_cannot_be_logged_comes_back_to_be_mended(shop):
    told = {"kind": "deploy", "version": "<1>", "at": "soon", "url": "javascript:alert(1)"}

    answer = shop.alice.post(LIST + "new/", told)
    later = shop.alice.post(LIST + "new/", {"kind": "deploy", "url": "ftp://x"})

    text = answer.content.decode()
    assert answer.status_code == 400
    assert "When: is no time (accepted: as 2026-11-19 11:00, UTC)." in text
    assert 'value="&lt;1&gt;"' in text
    assert "Address: is no web address" in later.content.decode()
    assert not Row.objects.exists()


def test_a_correction_keeps_what_is_not_on_the_form(shop):
    put(shop.project, deploy("1", details={"commit": "abc"}, client_id="run-1"))
    row = Row.objects.get()

    shown = page(shop.alice, f"{LIST}{row.pk}/")
    answer = shop.alice.post(f"{LIST}{row.pk}/", {"kind": "deploy", "version": "2", "author": "Kim"})

    assert "abc" in shown
    assert answer.status_code == 302
    row.refresh_from_db()
    assert (row.version, row.details, row.client_id, row.at) == ("2", {"commit": "abc"}, "run-1", NOON - HOUR)


def test_of_what_traces_show_only_what_people_know_can_be_changed(shop):
    row = Row.objects.create(project=shop.project, kind="deploy", version="9", source="derived", origin="x", at=NOON)

    text = page(shop.alice, f"{LIST}{row.pk}/")
    shop.alice.post(f"{LIST}{row.pk}/", {"kind": "note", "version": "10", "note": "rolled back"})

    row.refresh_from_db()
    assert 'name="version"' not in text
    assert (row.kind, row.version, row.note) == ("deploy", "9", "rolled back")


def test_engineers_log_and_remove_and_viewers_look(shop):
    (told,) = put(shop.project, deploy("1"))
    ProjectMember.objects.filter(user=shop.people.erin).update(role="reviewer")

    for client in (shop.bob, shop.erin):
        assert client.get(LIST + "new/").status_code == 403
        assert client.post(f"{LIST}{told.id}/", {"kind": "note", "note": "x"}).status_code == 403
        assert client.post(f"{LIST}{told.id}/remove/").status_code == 403
        assert "Correct it" not in page(client, f"{LIST}{told.id}/")
    assert shop.charlie.get(f"{LIST}{told.id}/").status_code == 404
    assert shop.charlie.post(f"/p/elsewhere/changes/{told.id}/remove/", {"remove": "yes"}).status_code == 404
    assert shop.alice.post(f"{LIST}{told.id}/remove/").status_code == 302
    assert Row.objects.filter(pk=told.id).exists()
    assert shop.alice.post(f"{LIST}{told.id}/remove/", {"remove": "yes"}).status_code == 302
    page(shop.alice, f"{LIST}{told.id}/", 404)
    page(shop.alice, f"{LIST}{2**70}/", 404)


def test_the_list_is_a_file_and_one_that_takes_too_long_says_so(shop, monkeypatch):
    put(shop.project, deploy("1"))

    lines = b"".join(shop.bob.get(LIST + "?format=ndjson").streaming_content).splitlines()

    assert len(lines) == 1

    def slow(*_args, **_kwargs):
        raise TooSlow

    monkeypatch.setattr(read, "list_changes", slow)
    assert "This took too long" in page(shop.bob, status=503)
