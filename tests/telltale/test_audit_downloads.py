"""Each download of a list is one entry of the audit log: who, which list, how narrowed, how many rows."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from django.core.signals import request_finished
from django.test import Client

from telltale.audit.log import record
from telltale.audit.models import AuditEntry
from telltale.projects import keys

pytestmark = pytest.mark.django_db
OPEN = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture
def hang_up(monkeypatch):
    """Close an answer as the server does when the reader went away; the test's own connection stays open."""
    monkeypatch.setattr(request_finished, "send", lambda **_: None)
    return lambda answer: answer.close()


def entries():
    return AuditEntry.objects.filter(action="export.list").order_by("pk")


def test_a_download_is_written_down_once_with_its_rows(house):
    bob = house.sign_in("bob", **OPEN)
    told = {"format": "csv", "t": "24h", "sort": "cost", "q": "my secret words", "user": "jane@corp.example"}
    answer = bob.get("/p/shop/traces/", told)
    assert not entries().exists()
    body = answer.getvalue().decode()

    entry = entries().get()
    assert len(list(csv.reader(io.StringIO(body)))) == 1
    assert (entry.actor, entry.target, entry.outcome) == ("bob@example.com", "shop-traces.csv", "done")
    assert (entry.project_id, entry.organisation_id) == (house.shop.pk, house.organisation.pk)
    assert (entry.address, entry.actor_user_id) == ("192.0.2.7", house.people.bob.pk)
    assert entry.after == {"format": "csv", "t": "24h", "sort": "cost", "narrowed_by": ["q", "user"], "rows": 0}


@pytest.mark.parametrize("kind", ["csv", "ndjson"])
def test_a_download_that_is_broken_off_is_written_down_too(house, kind, hang_up):
    for number in range(1200):
        record("key.create", project_id=house.shop.pk, target=f"k{number}")
    answer = house.sign_in("erin").get("/p/shop/settings/audit/", {"format": kind, "target": "k1"})
    pieces = iter(answer.streaming_content)
    for _ in range(2 if kind == "csv" else 1):  # of CSV the first piece is the head
        next(pieces)
    hang_up(answer)
    hang_up(answer)

    entry = entries().get()
    assert (entry.target, entry.outcome) == (f"audit-shop.{kind}", "broken off")
    assert entry.after == {"format": kind, "narrowed_by": ["target"], "rows": 311}


def test_nobody_reading_a_single_piece_is_written_down(house, hang_up):
    hang_up(house.sign_in("erin").get("/p/shop/settings/audit/", {"format": "csv"}))

    assert entries().get().after["rows"] == 0


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("scores?format=ndjson", "shop-scores.ndjson"),
        ("signals?format=csv", "shop-signals.csv"),
        ("changes?format=csv", "shop-changes.csv"),
        ("labels/export?format=ndjson", "shop-labels.ndjson"),
    ],
)
def test_rest_writes_files_down_and_pages_with_a_cursor_not(house, address, target):
    made = keys.make_key(house.shop, "reader", ("read",))
    client = Client(headers={"Authorization": f"Bearer {made.secret}"}, **OPEN)
    assert client.get("/api/v1/scores?limit=5").status_code == 200
    assert client.head(f"/api/v1/{address}").status_code == 200
    assert not entries().exists()

    answer = client.get(f"/api/v1/{address}")
    answer.getvalue()

    entry = entries().get()
    assert (entry.actor, entry.target, entry.outcome) == (f"key {made.key.pk}", target, "done")
    assert (entry.project_id, entry.address) == (house.shop.pk, "192.0.2.7")
    assert made.secret not in str((entry.after, entry.target, entry.actor))


def test_the_logs_of_organisation_and_installation_are_lists_too(house):
    alice = house.people.alice
    alice.is_superuser = True
    alice.save()
    client = house.sign_in("alice")
    client.get("/organisations/example-ltd/audit/", {"format": "csv"}).getvalue()
    client.get("/audit/", {"format": "ndjson"}).getvalue()

    told = [(e.target, e.organisation_id, e.project_id) for e in entries()]
    assert told == [("audit-example-ltd.csv", house.organisation.pk, None), ("audit-installation.ndjson", None, None)]


PAGES = (
    "traces/", "sessions/", "users/", "signals/all/", "changes/", "cost/", "performance/", "accounting/", "incidents/",
    "monitors/", "monitors/alarms/", "monitors/budget/", "incidents/notices/", "cost/budgets/", "inbox/", "models/",
    "probes/", "review/export/", "settings/audit/", "questions/",
)  # fmt: skip


def test_every_list_of_a_project_that_gives_a_file_is_written_down(house):
    erin = house.sign_in("erin")
    for number, page in enumerate(PAGES, 1):
        answer = erin.get(f"/p/shop/{page}", {"format": "csv"})
        assert answer.headers["Content-Type"].startswith("text/csv"), page
        answer.getvalue()
        assert entries().count() == number, page
    assert set(entries().values_list("outcome", flat=True)) == {"done"}


# What streams beside lists: an archive, which has acts of its own, and one trace.
OTHERS = {"telltale/audit/downloads.py", "telltale/web/archive/pages.py", "traces/pages/copying.py"}


def test_nothing_streams_past_the_log():
    root = Path(__file__).parents[2]
    places = [root / "platform", *(root / room for room in ("traces", "evals", "alerts"))]
    found = {
        str(path.relative_to(root)).removeprefix("platform/")
        for place in places
        for path in place.rglob("*.py")
        if "StreamingHttpResponse(" in (text := path.read_text()) or 'content_type="text/csv' in text
    }

    for path in found - OTHERS:
        assert "ListFile([" in (root / path).read_text(), path
