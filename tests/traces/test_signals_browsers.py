"""Signals from pages in browsers: which pages may, with which keys, how much, and what they are told."""

from __future__ import annotations

import io
import json

import orjson
import pytest

from telltale.audit.models import AuditEntry
from telltale.projects import keys, origins
from telltale.projects.models import ApiKey
from telltale.projects.origins import OriginRefused, read_origin
from telltale.run.commands import run_command
from tests.traces.signal_door import TRACE, rows, send
from traces.api import signal_bodies as api

pytestmark = pytest.mark.django_db
SHOP, EVIL = "https://shop.example", "https://evil.example"
THUMB = {"name": "thumbs_up", "trace_id": TRACE}


@pytest.fixture(autouse=True)
def fresh():
    origins.held.clear()
    api.quota.forget()


@pytest.fixture
def browser_key(shop):
    return keys.make_key(shop.project, "page", ("signal",), origins=(SHOP,))


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def post(client, body, key=None, origin=SHOP, content_type="application/json", path="/api/v1/signals"):
    headers = (bearer(key) if key else {}) | ({"Origin": origin} if origin else {})
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return client.post(path, raw, content_type, headers=headers)


def preflight(client, origin):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    return client.options("/api/v1/signals", headers=asked | ({"Origin": origin} if origin else {}))


def test_a_page_that_a_key_lists_may_ask_send_and_read_the_answer(shop, browser_key):
    asked = preflight(shop.nobody, SHOP)
    sent = post(shop.nobody, THUMB, browser_key.secret)

    assert asked.status_code == 204
    assert asked["Access-Control-Allow-Origin"] == sent["Access-Control-Allow-Origin"] == SHOP
    assert asked["Access-Control-Allow-Methods"] == "POST"
    assert {"authorization", "content-type"} <= set(asked["Access-Control-Allow-Headers"].split(", "))
    assert "Origin" in asked["Vary"]
    assert "Origin" in sent["Vary"]
    assert "Access-Control-Allow-Credentials" not in sent.headers
    assert (sent.status_code, rows(shop.project.pk)) == (200, ["thumbs_up"])


def test_any_other_page_is_refused_and_told_which_it_is(shop, browser_key):
    asked, sent = preflight(shop.nobody, EVIL), post(shop.nobody, THUMB, browser_key.secret, EVIL)

    for answer in (asked, sent):
        assert answer.status_code == 403
        assert answer["Content-Type"] == "application/problem+json"
        assert EVIL in answer.json()["detail"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Origin" in answer["Vary"]
    assert sent.json()["errors"][0]["field"] == "Origin"
    assert rows(shop.project.pk) == []


def test_an_origin_is_known_as_long_as_a_live_key_lists_it(shop, browser_key):
    assert preflight(shop.nobody, SHOP).status_code == 204
    assert preflight(shop.nobody, "null").status_code == 403
    assert preflight(shop.nobody, "").status_code == 204
    keys.revoke(browser_key.key)
    origins.held.clear()
    keys.cache.clear()

    assert preflight(shop.nobody, SHOP).status_code == 403
    assert post(shop.nobody, THUMB, browser_key.secret).status_code == 401


def test_a_star_is_any_page_and_the_answer_still_names_the_one(shop):
    made = keys.make_key(shop.project, "any", ("signal",), origins=("*",))

    sent = post(shop.nobody, THUMB, made.secret, EVIL)

    assert (sent.status_code, sent["Access-Control-Allow-Origin"]) == (200, EVIL)
    assert preflight(shop.nobody, EVIL).status_code == 204


def test_a_key_of_more_than_signals_is_refused_in_a_browser_and_works_on_a_server(shop):
    made = keys.make_key(shop.project, "server", ("ingest", "signal"))

    in_page, on_server = post(shop.nobody, THUMB, made.secret), post(shop.nobody, THUMB, made.secret, origin="")

    assert in_page.status_code == 403
    assert "scope signal alone" in in_page.json()["detail"]
    assert on_server.status_code == 200


def test_a_signal_key_without_origins_is_for_servers(shop):
    made = keys.make_key(shop.project, "server", ("signal",))

    assert post(shop.nobody, THUMB, made.secret).status_code == 403
    assert post(shop.nobody, THUMB, made.secret, origin="").status_code == 200
    assert post(shop.nobody, THUMB, made.key.public_part, origin="").status_code == 401


def test_the_documents_of_our_own_origin_are_no_foreign_page(shop):
    made = keys.make_key(shop.project, "server", ("ingest", "signal"))

    assert post(shop.nobody, THUMB, made.secret, "http://testserver").status_code == 200


def test_a_browser_key_goes_by_its_public_part_in_a_header_or_in_a_beacons_body(shop, browser_key):
    public = browser_key.key.public_part
    by_header = post(shop.nobody, THUMB, public)
    body = {"key": public, "signals": [THUMB | {"client_id": "b"}]}
    beacon = post(shop.nobody, body, content_type="text/plain;charset=UTF-8")
    single = post(shop.nobody, THUMB | {"key": browser_key.secret, "client_id": "c"}, content_type="text/plain")

    assert [answer.status_code for answer in (by_header, beacon, single)] == [200, 200, 200]
    assert beacon["Access-Control-Allow-Origin"] == SHOP
    assert len(rows(shop.project.pk)) == 3


@pytest.mark.parametrize("told", ["tt_pk_none", "", 7, None, "\ud800", "tt_pk_\x00"])
def test_a_beacon_with_no_good_key_is_a_401(shop, browser_key, told):
    raw = json.dumps({"key": told, "signals": [THUMB]}).encode()

    assert post(shop.nobody, raw, content_type="text/plain").status_code == 401


def test_no_other_key_goes_in_a_body_and_none_in_an_address(shop, browser_key):
    server = keys.make_key(shop.project, "server", ("signal", "write"))

    in_body = post(shop.nobody, {"key": server.secret, "signals": [THUMB]}, origin="")
    in_address = post(shop.nobody, THUMB, path=f"/api/v1/signals?key={browser_key.key.public_part}")
    beside = post(shop.nobody, THUMB, browser_key.secret, path="/api/v1/signals?key=x")

    assert (in_body.status_code, in_address.status_code, beside.status_code) == (403, 401, 400)
    assert rows(shop.project.pk) == []


def test_a_browser_key_reads_nothing_and_opens_nothing_else(shop, browser_key):
    for path in ("/api/v1/signals", "/api/v1/signals/names", "/api/v1/traces", "/api/v1/keys"):
        assert shop.nobody.get(path, headers=bearer(browser_key.secret)).status_code == 403
    public = bearer(browser_key.key.public_part)
    assert shop.nobody.get("/api/v1/signals", headers=public).status_code == 403
    assert shop.nobody.get("/api/v1/traces", headers=public).status_code == 401
    reading = shop.nobody.get("/api/v1/signals", headers=shop.key("read") | {"Origin": SHOP})
    assert "Access-Control-Allow-Origin" not in reading.headers


def test_a_key_that_lies_open_sends_at_a_bounded_rate(shop, browser_key, settings):
    settings.BROWSER_SIGNALS_A_SECOND = 2
    many = [THUMB | {"client_id": str(at)} for at in range(200)]

    first, second = post(shop.nobody, many, browser_key.secret), post(shop.nobody, THUMB, browser_key.secret)
    server = keys.make_key(shop.project, "server", ("signal",))

    assert (first.status_code, second.status_code) == (200, 429)
    assert 1 <= int(second["Retry-After"]) <= 60
    assert "2 signals a second" in second.json()["detail"]
    assert second["Access-Control-Allow-Origin"] == SHOP
    assert "retry-after" in second["Access-Control-Expose-Headers"]
    for _ in range(3):
        assert post(shop.nobody, many, server.secret, origin="").status_code == 200


def test_a_page_sends_a_quarter_of_a_mebibyte_at_most(shop, browser_key):
    large = {"signals": [THUMB | {"comment": "a" * 16_000, "client_id": str(at)} for at in range(17)]}
    server = keys.make_key(shop.project, "server", ("signal",))

    in_page, unsaid = post(shop.nobody, large, browser_key.secret), post(shop.nobody, large, browser_key.secret, "")
    in_body = post(shop.nobody, large | {"key": browser_key.secret}, content_type="text/plain", origin="")
    on_server = post(shop.nobody, large, server.secret, origin="")

    assert [answer.status_code for answer in (in_page, unsaid, in_body, on_server)] == [413, 413, 413, 200]
    assert "262144 bytes" in in_page.json()["detail"]


def test_a_key_with_a_limit_of_its_own_keeps_to_that(shop):
    made = keys.make_key(shop.project, "page", ("signal",), origins=(SHOP,), spans_a_second=1)

    assert post(shop.nobody, [THUMB | {"client_id": str(at)} for at in range(50)], made.secret).status_code == 200
    assert "1 signals a second" in post(shop.nobody, THUMB, made.secret).json()["detail"]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("https://Shop.Example", "https://shop.example"), ("https://shop.example:443", "https://shop.example"),
        ("http://localhost:8080", "http://localhost:8080"), ("https://shop.example/", "https://shop.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"), ("http://[::1]:80", "http://[::1]"),
        ("capacitor://localhost", "capacitor://localhost"), (" * ", "*"),
    ],
)  # fmt: skip
def test_origins_are_kept_as_browsers_write_them(told, kept):
    assert read_origin(told) == kept


@pytest.mark.parametrize(
    "told",
    ["shop.example", "https://", "https://shop.example/chat", "https://a@b", "https://*.shop.example", "https://a:0",
     "https://a:99999", "https://a b", "javascript:alert(1)", "null", "https://" + "a" * 400, "https://a..b",
     "http://[::zz]", "https://a?b", "https://a\x00"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(told):
    with pytest.raises(OriginRefused):
        read_origin(told)


def test_origins_are_edited_on_the_page_by_rest_and_by_provisioning(shop, browser_key):
    page = f"/p/shop/settings/keys/{browser_key.key.pk}/limit/"
    rest = f"/api/v1/keys/{browser_key.key.pk}"
    admin = shop.key("admin")

    made = shop.erin.post("/p/shop/settings/keys/new/", {"name": "web", "scopes": ["signal"], "origins": SHOP})
    wrong = shop.erin.post("/p/shop/settings/keys/new/", {"name": "w", "scopes": ["signal", "read"], "origins": SHOP})
    shown = shop.erin.get("/p/shop/settings/keys/").content.decode()
    bad = shop.erin.post(page, {"spans_a_second": "", "origins": "https://a\nshop/x"})
    good = shop.erin.post(page, {"spans_a_second": "7", "origins": f"{SHOP}\n{EVIL}, {SHOP}"})
    by_rest = shop.nobody.patch(rest, {"origins": ["*"]}, "application/json", headers=admin)
    bad_rest = shop.nobody.patch(rest, {"origins": ["https://a/b"]}, "application/json", headers=admin)
    nothing = shop.nobody.patch(rest, {}, "application/json", headers=admin)
    wide = {"name": "x", "scopes": ["signal", "write"], "origins": [SHOP]}
    refused = shop.nobody.post("/api/v1/keys", wide, "application/json", headers=admin)

    assert ApiKey.objects.get(name="web").origins == [SHOP]
    assert f"It only sends signals, from pages of {SHOP}" in made.content.decode()
    assert "must have the scope signal alone" in wrong.content.decode()
    assert f"from {SHOP}" in shown
    assert "has more than scheme, host and port" in bad.content.decode() or "is no origin" in bad.content.decode()
    assert good.status_code == 302
    assert (by_rest.json()["origins"], by_rest.json()["spans_a_second"]) == (["*"], 7)
    assert bad_rest.json()["errors"][0]["field"] == "origins"
    assert (nothing.status_code, refused.status_code) == (400, 400)
    changes = AuditEntry.objects.filter(action="key.origins").order_by("pk")
    assert [entry.after["origins"] for entry in changes] == [[SHOP, EVIL], ["*"]]


def test_provisioning_gives_origins_and_refuses_what_cannot_be(shop):
    told = ["provision", "--email", "ann@example.com", "--secret-key", "tt_sk_" + "b" * 20, "--project", "fresh"]

    def run(*more):
        out = io.StringIO()
        code = run_command([*told, *more], out)
        return code, json.loads(out.getvalue())

    code, made = run("--scopes", "signal", "--origins", f"{SHOP}, https://b.example:8443")
    again = run()[1]
    wide = run("--scopes", "signal,read")
    bad = run("--origins", "https://a/b")
    none = run("--origins", "")[1]

    assert (code, made["origins"]) == (0, [SHOP, "https://b.example:8443"])
    assert again["origins"] == made["origins"]
    assert (wide[0], bad[0]) == (1, 1)
    assert "scope signal alone" in wide[1]["error"]
    assert none["origins"] == []


def test_people_who_review_may_send_by_their_session_and_others_not(shop):
    path = "/api/v1/signals?project=shop"

    assert shop.erin.post(path, THUMB, "application/json").status_code == 200
    assert shop.bob.post(path, THUMB, "application/json").status_code == 403
    assert shop.charlie.post(path, THUMB, "application/json").status_code == 404
    refused = send(shop.nobody, THUMB, shop.key("read"), 403)
    assert refused["detail"] == "This needs a key with the scope signal or write."


def test_a_page_changes_what_pages_told_and_no_more(shop, browser_key):
    server = keys.make_key(shop.project, "server", ("signal",))
    other = keys.make_key(shop.project, "the page's next key", ("signal",), origins=(SHOP,))
    bought = {"name": "conversion", "value": 80, "trace_id": TRACE, "client_id": "order-7"}
    thumb = THUMB | {"client_id": "thumb-7"}
    assert post(shop.nobody, bought, server.secret, origin=None).status_code == 200
    assert post(shop.nobody, thumb, browser_key.secret).status_code == 200

    refused = post(shop.nobody, [bought | {"value": 0}, thumb | {"name": "thumbs_down"}], other.secret)
    alone = post(shop.nobody, bought | {"value": 0}, browser_key.secret)

    assert [item["status"] for item in refused.json()["items"]] == ["rejected", "updated"]
    assert refused.json()["items"][0]["errors"][0]["field"] == "client_id"
    assert alone.status_code == 400
    told = rows(shop.project.pk, "client_id", "name", "value_number", "revision")
    assert sorted(told) == [("order-7", "conversion", 80, 1), ("thumb-7", "thumbs_down", None, 2)]
    again = post(shop.nobody, thumb, server.secret, origin=None)
    assert again.json()["items"][0]["status"] == "updated"
    assert post(shop.nobody, thumb | {"name": "thumbs_down"}, browser_key.secret).status_code == 400


def test_a_page_speaks_for_its_end_user_alone(shop, browser_key):
    told = [THUMB | {"client_id": word, "source": word} for word in ("end_user", "reviewer", "api")]

    sent = post(shop.nobody, told, browser_key.secret).json()["items"]

    assert [item["status"] for item in sent] == ["accepted", "rejected", "rejected"]
    assert sent[1]["errors"][0]["field"] == "source"
    assert rows(shop.project.pk, "client_id") == ["end_user"]
