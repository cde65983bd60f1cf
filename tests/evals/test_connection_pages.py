"""Connections by page: keys are never shown, other roles look on, other hosts get no key."""

from html import unescape

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from evals import setup
from evals.calling.kinds import Called, CallFailed
from evals.models import Connection
from evals.setup import testing
from telltale.audit.models import AuditEntry
from telltale.projects.models import ProjectMember

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/settings/connections/"
KEY = "sk-test-abcdefghijklmnop1234"


@pytest.fixture(autouse=True)
def loopback(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]


@pytest.fixture
def owner(alice, project, sign_in):
    return sign_in(alice)


def form(**more):
    return {
        "name": "House model", "kind": "openai", "base_url": "http://127.0.0.1:9/v1", "key": KEY,
        "timeout_seconds": "30", "calls_a_minute": "", "at_a_time": "4", "input_usd": "0.15", "output_usd": "0.6",
    } | more  # fmt: skip


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:400]
    return unescape(answer.content.decode())


def test_a_connection_is_set_up_and_shown_without_its_key(owner, bob, sign_in):
    answer = owner.post(PAGE + "new/", form())

    assert answer.status_code == 302, unescape(answer.content.decode())
    made = Connection.objects.get()
    assert (made.input_pico, made.output_pico, made.timeout_seconds) == (150_000, 600_000, 30.0)
    for page in (read(owner), read(sign_in(bob)), read(owner, f"{PAGE}{made.pk}/")):
        assert KEY not in page
        assert "…1234" in page
    assert "$0.15 in, $0.6 out, per million tokens" in read(owner)
    assert KEY not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": ""}, "Name is empty."),
        ({"kind": "x"}, "Speaks is not known (one of openai, anthropic)."),
        ({"base_url": "http://169.254.169.254/"}, "(metadata)"),
        ({"timeout_seconds": "soon"}, "Time-out is no number."),
        ({"timeout_seconds": "1e999"}, "Time-out is no number."),
        ({"at_a_time": "²"}, "At a time, at most is no whole number."),
        ({"calls_a_minute": "0"}, "Calls a minute, at most is out of range (a whole number from 1 to 100,000)."),
        ({"input_usd": ""}, "Price of input is missing"),
        ({"output_usd": "0.0000001"}, "Price of output has too many decimals (6 decimals)."),
        ({"key": "a b"}, "Key holds characters that no key has"),
        ({"name": "a\u200bb"}, "holds characters that cannot be seen"),
    ],
)
def test_what_cannot_be_comes_back_with_what_was_typed_but_no_key(owner, more, words):
    answer = owner.post(PAGE + "new/", form(**more))

    html = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert words in html
    assert KEY not in html
    assert more.get("name", "House model") == "" or 'value="0.6"' in html or "output_usd" in more
    assert not Connection.objects.exists()


def test_another_host_gets_no_key_and_the_page_says_so(owner):
    owner.post(PAGE + "new/", form())
    here = f"{PAGE}{Connection.objects.get().pk}/"

    kept = owner.post(here, form(key="", name="Renamed"), follow=True)
    assert Connection.objects.get().key_hint == "…1234"
    assert "Renamed is saved." in unescape(kept.content.decode())
    moved = owner.post(here, form(key="", base_url="http://127.0.0.2:9/v1"), follow=True)
    assert "Its key was entered for another host and is gone" in unescape(moved.content.decode())
    owner.post(here, form(base_url="http://127.0.0.2:9/v1"))
    owner.post(here, form(base_url="http://127.0.0.2:9/v1", key="", no_key="on"))
    assert (Connection.objects.get().key_hint, Connection.objects.get().sealed_key) == ("", "")


def test_a_test_call_says_what_came_of_it(owner, monkeypatch):
    owner.post(PAGE + "new/", form())
    here = f"{PAGE}{Connection.objects.get().pk}/test/"
    asked = []

    def answer(endpoint, messages, most):
        asked.append((endpoint.key, endpoint.model, endpoint.timeout_seconds))
        return Called("<b>ready</b>", 9, 1, 0, "stop", "small-1-2026", 412.0, 200, 1_950_000)

    monkeypatch.setattr(testing, "chat", answer)
    good = owner.post(here, {"model": "small-1"}, follow=True)
    assert "small-1-2026 answered. It took 412 ms and cost under $0.0001." in unescape(good.content.decode())
    assert asked == [(KEY, "small-1", 20.0)]

    def fail(endpoint, messages, most):
        raise CallFailed("auth", "The provider refuses the key (HTTP 401).")

    monkeypatch.setattr(testing, "chat", fail)
    bad = owner.post(here, {"model": "small-1"}, follow=True)
    assert "refuses the key (HTTP 401)" in unescape(bad.content.decode())
    assert "is no name of a model" in unescape(owner.post(here, {"model": ""}, follow=True).content.decode())


def test_a_connection_is_put_away_and_taken_back(owner):
    owner.post(PAGE + "new/", form())
    here = f"{PAGE}{Connection.objects.get().pk}/"

    assert "its key is forgotten" in read(owner, here + "archive/")
    owner.post(here + "archive/")
    assert "Put away" in read(owner)
    assert Connection.objects.get().sealed_key == ""
    owner.post(here + "restore/")
    assert Connection.objects.get().archived_at is None


def test_roles_and_strangers(project, alice, bob, charlie, sign_in):
    made = setup.add_connection(project, name="House", kind="openai", base_url="http://127.0.0.1:9/v1")
    ProjectMember.objects.filter(user=bob).update(role="engineer")

    assert sign_in(bob).get(f"{PAGE}{made.id}/").status_code == 403
    assert sign_in(bob).post(PAGE + "new/", form()).status_code == 403
    assert "Add connection" not in read(sign_in(bob))
    for path in ("", "new/", f"{made.id}/", f"{made.id}/archive/"):
        assert sign_in(charlie).get(PAGE + path).status_code == 404
    assert sign_in(charlie).get(f"/p/far/settings/connections/{made.id}/").status_code == 404


def test_the_page_asks_the_same_number_of_questions_however_many_connections(owner, project):
    def count():
        with CaptureQueriesContext(database) as asked:
            read(owner)
        return len(asked)

    setup.add_connection(project, name="A", kind="openai", base_url="http://127.0.0.1:9/v1")
    count()
    one = count()
    for name in "BCDEF":
        setup.add_connection(project, name=name, kind="anthropic", base_url="http://127.0.0.1:9/v1", is_stand_in=True)

    assert count() == one
    assert read(owner).count("Stand-in, no real model") == 5
