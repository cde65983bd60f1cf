"""Pages and REST of erasing: asked for, followed, its receipt; who may not, and what is wrong."""

from __future__ import annotations

import io
import json

import pytest

from telltale.jobs.models import Job
from telltale.run.commands import run_command
from telltale.web.erasing import running
from telltale.web.models import Erasure

pytestmark = pytest.mark.django_db
PAGE, TRACE = "/p/shop/settings/privacy/", "ab" * 16


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(running, "pause", lambda seconds: None)


def run():
    running.work.run_now(Job.objects.filter(kind="erase").latest("pk"))


def test_an_admin_erases_from_the_page_of_a_trace(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8))
    assert f"erase/?kind=trace&amp;id={TRACE}" in shop.erin.get(f"/p/shop/traces/{TRACE}/").content.decode()
    assert "erase/?kind" not in shop.bob.get(f"/p/shop/traces/{TRACE}/").content.decode()
    asked = shop.erin.get(PAGE + f"erase/?kind=trace&id={TRACE}")
    assert "Erase this trace?" in asked.content.decode()
    assert Erasure.objects.count() == 0

    done = shop.erin.post(PAGE + "erase/", {"kind": "trace", "id": TRACE})

    receipt = done.headers["Location"]
    assert "It begins within seconds" in shop.erin.get(receipt).content.decode()
    fragment = shop.erin.get(receipt, headers={"HX-Request": "true"}).content.decode()
    assert fragment.startswith("<div")
    assert 'hx-trigger="every 2s"' in fragment
    run()
    after = shop.erin.get(receipt).content.decode()
    assert "Done, nothing left" in after
    assert "hx-trigger" not in after.split('id="erasure"')[1]
    assert "traces_span" in after
    assert shop.erin.get(f"/p/shop/traces/{TRACE}/").status_code == 404
    assert "Done, nothing left" in shop.erin.get(PAGE).content.decode()
    assert shop.erin.post(receipt + "lift/").status_code == 302
    assert Erasure.objects.get().lifted_by == "erin@example.com"


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("trace", "xyz"), ("trace", "0" * 32), ("user", ""), ("user", "x" * 1025), ("team", "a"), ("", "")],
)
def test_what_can_be_no_subject_is_said_plainly(shop, kind, subject):
    assert shop.erin.post(PAGE + "erase/", {"kind": kind, "id": subject}).status_code == 400
    answer = shop.nobody.post(
        "/api/v1/erasures", {"kind": kind, "id": subject}, "application/json", headers=shop.key("admin")
    )
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in {"kind", "id"}
    assert Erasure.objects.count() == 0


def test_what_cannot_be_erased_is_told_beside_what_was_typed(shop):
    page = shop.erin.get(PAGE + "erase/?kind=trace&id=not-hex").content.decode()

    assert '<a href="#id_id">Its id: It is no trace id. Accepted: 32 hexadecimal digits, not all zero.</a>' in page
    assert '<option value="trace" selected>' in page
    assert 'name="id" value="not-hex"' in page


def test_rest_asks_follows_and_lists(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"user.id": "dora@example.com"}))
    key = shop.key("admin")
    body = {"kind": "user", "id": "dora@example.com"}
    asked = shop.nobody.post("/api/v1/erasures", body, "application/json", headers=key)
    assert asked.status_code == 202
    told = asked.json()
    assert (told["state"], told["rows_remaining"], told["subject"]) == ("waiting", None, "….com")
    again = shop.nobody.post("/api/v1/erasures", body, "application/json", headers=key)
    assert again.json()["id"] == told["id"]
    one = f"/api/v1/erasures/{told['id']}"
    assert shop.nobody.post(one + "/retry", headers=key).status_code == 409
    assert shop.nobody.post(one + "/lift", headers=key).status_code == 409
    run()

    done = shop.nobody.get(one, headers=key).json()
    assert (done["state"], done["rows_remaining"], done["remaining"]) == ("done", 0, {})
    assert done["removed"]["traces_span"] == 1
    assert [each["id"] for each in shop.nobody.get("/api/v1/erasures", headers=key).json()["items"]] == [told["id"]]
    assert shop.nobody.get("/api/v1/erasures", headers=shop.key("read")).status_code == 403
    assert shop.nobody.get(one, headers=shop.key("admin", of=shop.elsewhere)).status_code == 404
    assert shop.nobody.post(one + "/lift", headers=key).json()["lifted_at"]


def test_a_failed_erasure_says_so_and_goes_on(otlp, shop, monkeypatch):
    otlp.send(otlp.generation(TRACE, "a1" * 8))
    shop.erin.post(PAGE + "erase/", {"kind": "trace", "id": TRACE})
    with monkeypatch.context() as patch:
        patch.setattr(running, "verify", lambda work: running.Counter({"traces_span": 2}))
        run()
    row = Erasure.objects.get()
    assert (row.state, row.remaining) == ("failed", {"traces_span": 2})
    page = shop.erin.get(f"{PAGE}{row.pk}/").content.decode()
    assert "2 rows are left" in page

    shop.erin.post(f"{PAGE}{row.pk}/again/")
    run()

    assert Erasure.objects.get().state == "done"


def test_the_command_prints_its_receipt(otlp, shop):
    otlp.send(otlp.generation(TRACE, "a1" * 8, attributes={"session.id": "s-4711"}))
    out = io.StringIO()

    assert run_command(["erase", "--project", "shop", "--session", "s-4711"], out) == 0

    told = json.loads(out.getvalue().splitlines()[-1])
    assert (told["state"], told["removed"]["traces_trace"], told["rows_remaining"]) == ("done", 1, 0)
    for words in (["--trace", "nope"], ["--resume", "987654"], ["--keep-project"]):
        assert run_command(["erase", "--project", "shop", *words], out) == 1
    assert run_command(["erase", "--project", "none", "--list"], out) == 1
    assert run_command(["erase", "--project", "shop", "--list"], out) == 0
