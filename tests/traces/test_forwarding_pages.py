"""Targets of forwarding, by page and by REST."""

from __future__ import annotations

from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telltale.audit.models import AuditEntry
from traces import forwarding, sending
from traces.models import ForwardTarget

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/settings/forwarding/"
URL = "https://otlp.invalid/v1/traces"
SECRET = "nr-secret-value-1234"


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:400]
    return unescape(answer.content.decode())


def make(client, **more):
    form = {"name": "New Relic", "url": URL, "headers": f"api-key: {SECRET}\n\nX-Team:  shop "} | more
    return client.post(PAGE + "new/", form)


def only():
    return ForwardTarget.objects.get()


def test_without_targets_the_page_says_what_it_is_for(shop):
    assert "Add target" in read(shop.erin)
    assert "An admin can have every accepted span sent" in read(shop.bob)


def test_a_target_is_set_up_and_shown_without_its_secret(shop):
    assert make(shop.erin).status_code == 302

    html = read(shop.bob)
    assert "New Relic" in html
    assert URL in html
    assert "api-key: …1234" in html
    assert "X-Team: …" in html
    assert "Nothing sent yet" in html
    for page in (html, read(shop.erin), read(shop.erin, f"{PAGE}{only().pk}/")):
        assert SECRET not in page
    assert SECRET not in str(list(AuditEntry.objects.values()))
    assert AuditEntry.objects.get(action="forwarding.add").after["headers"] == ["X-Team", "api-key"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"name": " "}, "Name: is empty"),
        ({"url": "http://169.254.169.254/"}, "Url: The host leads to an address that is refused (metadata)"),
        ({"url": "http://[::1]/"}, "(loopback)"),
        ({"url": "http://0x7f.1/"}, "(loopback)"),
        ({"url": "javascript:alert(1)"}, "must begin with https://"),
        ({"headers": "no colon"}, "Headers: must be one a line"),
        ({"headers": "Host: x"}, "is set by Telltale itself"),
        ({"headers": "api-key: 1\nAPI-Key: 2"}, "is there twice"),
    ],
)
def test_what_cannot_be_comes_back_with_what_was_typed_but_no_secret(shop, more, words):
    answer = make(shop.erin, **more)

    html = unescape(answer.content.decode())
    assert answer.status_code == 400
    assert words in html
    assert SECRET not in html
    if "name" not in more:
        assert 'value="New Relic"' in html
    assert not ForwardTarget.objects.exists()


def test_changing_keeps_headers_unless_the_host_is_another(shop):
    make(shop.erin)
    here = f"{PAGE}{only().pk}/"
    sealed = only().sealed_headers

    shop.erin.post(here, {"name": "NR", "url": URL, "headers": "", "without_content": "on"})
    assert (only().name, only().with_content, only().sealed_headers) == ("NR", False, sealed)
    moved = shop.erin.post(here, {"name": "NR", "url": "https://evil.invalid/", "headers": ""}, follow=True)

    assert only().sealed_headers == ""
    assert "entered for another host and are gone" in unescape(moved.content.decode())


def test_headers_can_be_taken_away(shop):
    make(shop.erin)

    shop.erin.post(f"{PAGE}{only().pk}/", {"name": "NR", "url": URL, "no_headers": "on"})

    assert (only().sealed_headers, only().header_hints) == ("", {})


def test_the_state_is_told_in_words_and_figures(shop):
    make(shop.erin)
    ForwardTarget.objects.update(
        sent_spans=1200, refused_spans=3, queued_spans=40, failures=5, dropped={"too_old": 7, "gone": 2},
        last_error="It cannot take spans now (HTTP 503).",
    )  # fmt: skip

    html = read(shop.bob)

    assert "Failing" in html
    assert "It cannot take spans now (HTTP 503)." in html
    assert "5 attempts in a row failed" in html
    assert "1,200" in html
    assert "2 removed before their turn; 7 waited longer than a day" in html


def test_pausing_resuming_and_removing(shop):
    make(shop.erin)
    here = f"{PAGE}{only().pk}/"

    shop.erin.post(here + "pause/")
    assert "Paused" in read(shop.bob)
    shop.erin.post(here + "resume/")
    assert only().paused_at is None
    assert "Remove “New Relic”?" in read(shop.erin, here + "remove/")
    shop.erin.post(here + "remove/")

    assert not ForwardTarget.objects.exists()
    actions = AuditEntry.objects.filter(action__startswith="forwarding").order_by("pk").values_list("action", flat=True)
    assert list(actions) == ["forwarding.add", "forwarding.pause", "forwarding.resume", "forwarding.remove"]


def test_the_test_button_says_what_came_of_it(shop, monkeypatch):
    make(shop.erin)
    said = [sending.Tested(True, "It answered 200 in 5 ms and took the test span.", "ab" * 16),
            sending.Tested(False, "otlp.invalid port 443 refused the connection.", "cd" * 16)]  # fmt: skip
    monkeypatch.setattr(sending, "send_test", lambda *a, **k: said.pop(0))

    fine, wrong = (unescape(shop.erin.post(f"{PAGE}{only().pk}/test/", follow=True).content.decode()) for _ in range(2))

    assert "took the test span. Its trace is " + "ab" * 16 in fine
    assert "refused the connection" in wrong


def test_others_targets_are_not_there(shop):
    make(shop.erin)
    pk = only().pk

    assert shop.charlie.get(PAGE).status_code == 404
    assert shop.charlie.get(f"/p/elsewhere/settings/forwarding/{pk}/").status_code == 404
    assert shop.charlie.post(f"/p/elsewhere/settings/forwarding/{pk}/test/").status_code == 404
    assert shop.bob.post(f"{PAGE}{pk}/pause/").status_code == 403
    assert shop.erin.get(f"{PAGE}{2**70}/").status_code == 404


def test_rest_does_what_the_page_does(shop):
    admin, ask = shop.key("read admin"), shop.nobody
    made = ask.post(
        "/api/v1/forwarding", {"name": "tempo", "url": "https://tempo.invalid", "headers": {"api-key": SECRET}},
        "application/json", headers=admin,
    )  # fmt: skip

    assert made.status_code == 201
    told = made.json()
    assert (told["url"], told["headers"], told["state"]) == (
        "https://tempo.invalid/v1/traces", {"api-key": "…1234"}, "new"
    )  # fmt: skip
    here = f"/api/v1/forwarding/{told['id']}"
    changed = ask.patch(here, {"name": "Tempo", "is_paused": True}, "application/json", headers=admin).json()
    assert (changed["name"], changed["is_paused"], changed["headers"]) == ("Tempo", True, {"api-key": "…1234"})
    assert ask.get("/api/v1/forwarding", headers=admin).json()["items"] == [changed]
    assert ask.get(here, headers=admin).json() == changed
    assert ask.patch(here, {}, "application/json", headers=admin).status_code == 400
    tested = ask.post(here + "/test", {}, "application/json", headers=admin).json()
    assert not tested["is_accepted"]
    assert ask.delete(here, headers=shop.key("read write")).status_code == 403
    assert ask.delete(here, headers=admin).status_code == 204
    assert ask.get(here, headers=admin).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "url"),
        ({"name": "x", "url": "https://10.0.0.1/"}, "url"),
        ({"name": "x", "url": URL, "headers": {"Host": "x"}}, "headers"),
        ({"name": "x", "url": URL, "headers": "x"}, "headers"),
        ({"name": "x", "url": URL, "secret": "x"}, "secret"),
    ],
)
def test_rest_names_the_field_that_is_wrong(shop, body, field):
    answer = shop.nobody.post("/api/v1/forwarding", body, "application/json", headers=shop.key("admin"))

    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["errors"][0]["field"].startswith(field)


def test_the_page_asks_the_database_the_same_however_many_targets(shop):
    def count():
        with CaptureQueriesContext(connection) as queries:
            read(shop.bob)
        return len(queries)

    make(shop.erin)
    one = count()
    for n in range(5):
        make(shop.erin, name=f"t{n}")

    assert count() == one


def test_a_project_has_so_many_targets_and_no_more(shop, monkeypatch):
    monkeypatch.setattr(forwarding, "TARGETS_MAX", 1)
    make(shop.erin)

    assert make(shop.erin, name="two").status_code == 400
    assert "at most 1 target." in read(shop.erin)
