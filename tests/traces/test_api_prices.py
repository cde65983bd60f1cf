"""REST of prices: the book, what has no price, entering, correcting, ending, and pricing again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
import time_machine

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from traces import prices
from traces.ingest.rules import forget as forget_rules
from traces.write import partitions, spans

NOW = datetime.now(UTC).replace(microsecond=0)
pytestmark = pytest.mark.django_db
PRICE = {"model": "house-7b", "input_fresh": "1.5", "output_text": "2", "source": "invoice of October"}


@pytest.fixture(autouse=True)
def fresh():
    partitions.forget()
    spans.forget()
    forget_rules()


@pytest.fixture
def admin(shop):
    """Calls the API with a key of every scope but signal."""
    headers = shop.key("ingest read write admin")

    def call(method, path, body=None, status=None):
        answer = getattr(shop.nobody, method)(
            f"/api/v1/{path}", *([] if body is None else [body, "application/json"]), headers=headers
        )
        if status is not None:
            assert answer.status_code == status, answer.content
        return answer

    return call


def send_call(admin, model, *, provider=None, tokens=(1000, 100), minutes=30):
    start = (NOW - timedelta(minutes=minutes)).isoformat()
    call = {
        "trace_id": uuid4().hex, "kind": "generation", "name": "chat", "model": model, "start": start, "end": start,
        "usage": {"input_tokens": tokens[0], "cached_tokens": 0, "output_tokens": tokens[1]},
    }  # fmt: skip
    admin("post", "traces", {**call, **({"provider": provider} if provider else {})}, 200)
    return call["trace_id"]


def entered(admin):
    return [
        (row["model"], row["input_fresh"], row["effective_to"])
        for row in admin("get", "prices?level=project&ended=true").json()["items"]
    ]


def test_a_price_is_entered_read_corrected_and_ended(admin):
    made = admin("post", "prices", PRICE, 201).json()
    corrected = admin("put", f"prices/{made['id']}", {**PRICE, "input_fresh": "1.25"}, 200).json()
    gone = admin("put", f"prices/{made['id']}", PRICE)
    ended = admin("delete", f"prices/{corrected['id']}")

    assert (made["level"], made["input_fresh"], made["source"]) == ("project", "1.5", "invoice of October")
    assert corrected["id"] != made["id"]
    assert gone.status_code == 404
    assert ended.status_code == 204
    assert admin("get", f"prices/{made['id']}", status=200).json()["input_fresh"] == "1.5"
    ((model, rate, until),) = entered(admin)
    assert (model, rate) == ("house-7b", "1.25")
    assert until is not None
    actions = list(
        AuditEntry.objects.filter(action__startswith="price.").order_by("id").values_list("action", flat=True)
    )
    assert actions == ["price.add", "price.correct", "price.end"]


def test_what_get_shows_put_takes(admin):
    made = admin("post", "prices", {**PRICE, "effective_from": "2026-01-01", "tier": "batch"}, 201).json()
    body = {name: value for name, value in made.items() if name not in {"id", "level"}}

    again = admin("put", f"prices/{made['id']}", body, 200).json()

    assert {**again, "id": made["id"]} == made


def test_a_later_price_ends_the_one_before(admin):
    admin("post", "prices", PRICE, 201)
    admin("post", "prices", {**PRICE, "input_fresh": "3", "effective_from": "2026-06-01"}, 201)

    both = admin("get", "prices?level=project&ended=true").json()["items"]
    in_force = admin("get", "prices?level=project").json()["items"]

    assert [(row["input_fresh"], row["effective_from"], row["effective_to"]) for row in both] == [
        ("1.5", None, "2026-06-01T00:00:00Z"),
        ("3", "2026-06-01T00:00:00Z", None),
    ]
    assert in_force == both[1:]


def test_a_price_that_ends_or_begins_later_belongs_to_the_book(admin):
    later = (NOW + timedelta(days=2)).isoformat()
    admin("post", "prices", {**PRICE, "model": "a", "effective_to": later}, 201)
    admin("post", "prices", {**PRICE, "model": "b", "effective_from": later}, 201)

    assert [row["model"] for row in admin("get", "prices?level=project").json()["items"]] == ["a", "b"]
    assert admin("get", "prices?ended=perhaps").json()["errors"][0] == {
        "field": "ended", "message": "is neither true nor false", "limit": "true or false", "value": "perhaps",
    }  # fmt: skip


def test_two_prices_for_the_same_calls_do_not_fit(admin):
    admin("post", "prices", PRICE, 201)

    clash = admin("post", "prices", PRICE)

    assert clash.status_code == 400
    assert clash.json()["errors"][0]["field"] == "effective_from"
    assert len(entered(admin)) == 1


def test_a_price_that_never_was_in_force_is_taken_out(admin):
    made = admin("post", "prices", {**PRICE, "effective_from": "2030-01-01"}, 201).json()

    admin("delete", f"prices/{made['id']}", status=204)

    assert entered(admin) == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "model"),
        ({"model": "x"}, "input_fresh"),
        ({"model": "x", "input_fresh": "-1"}, "input_fresh"),
        ({"model": "x", "input_fresh": "1e3"}, "input_fresh"),
        ({"model": "x", "input_fresh": "NaN"}, "input_fresh"),
        ({"model": "x", "input_fresh": "0.0000001"}, "input_fresh"),
        ({"model": "x", "input_fresh": True}, "input_fresh"),
        ({"model": "x", "input_fresh": ["1"]}, "input_fresh"),
        ({"model": "x\x00y", "input_fresh": "1"}, "model"),
        ({"model": "x" * 5000, "input_fresh": "1"}, "model"),
        ({"model": {"a": 1}, "input_fresh": "1"}, "model"),
        ({"model": "x", "input_fresh": "1", "provider": "p" * 150}, "provider"),
        ({"model": "x", "input_fresh": "1", "source": "s" * 400}, "source"),
        ({"model": "x", "input_fresh": "1", "effective_from": "9999-12-31"}, "effective_from"),
        ({"model": "x", "input_fresh": "1", "effective_from": "2026-02-30"}, "effective_from"),
        ({"model": "x", "input_fresh": "1", "context_over": 10**40}, "context_over"),
        ({"model": "x", "input_fresh": "1", "usd_per_hour": "2"}, "usd_per_hour"),
        ({"model": "x", "input_fresh": "1", "tier": "gold"}, "tier"),
        ({"model": "*", "input_fresh": "1", "match": "pattern"}, "model"),
        ({"model": "x", "input_fresh": "1", "colour": "red"}, "colour"),
    ],
)
def test_bad_prices_are_400_and_name_the_field(admin, body, field):
    answer = admin("post", "prices", body)

    assert answer.status_code == 400, answer.content
    assert field in {error["field"] for error in answer.json()["errors"]}
    assert entered(admin) == []


@pytest.mark.parametrize("price_id", ["0", "-1", "999999", "9" * 30, "x", "%00", "-", "1.5"])
def test_prices_that_are_not_there_are_404(admin, price_id):
    assert admin("get", f"prices/{price_id}").status_code == 404
    assert admin("delete", f"prices/{price_id}").status_code == 404
    assert admin("put", f"prices/{price_id}", PRICE).status_code == 404


def test_others_neither_read_nor_change_a_project_s_prices(admin, shop):
    made = admin("post", "prices", PRICE, 201).json()
    theirs = shop.key("read admin", of=shop.elsewhere)
    url = f"/api/v1/prices/{made['id']}"

    assert shop.nobody.get(url, headers=theirs).status_code == 404
    assert shop.nobody.delete(url, headers=theirs).status_code == 404
    assert shop.nobody.put(url, PRICE, "application/json", headers=theirs).status_code == 404
    assert shop.nobody.get("/api/v1/prices?level=project", headers=theirs).json()["items"] == []
    assert prices.load_book(shop.elsewhere.pk).match(None, "house-7b", None, 10**15) is None
    assert entered(admin)[0][2] is None


def test_viewers_read_prices_and_admins_change_them(shop):
    refused = shop.bob.post("/api/v1/prices?project=shop", PRICE, "application/json")

    assert shop.bob.get("/api/v1/prices?project=shop").status_code == 200
    assert refused.status_code == 403
    assert "Admin" in refused.json()["detail"]
    assert shop.charlie.post("/api/v1/prices?project=shop", PRICE, "application/json").status_code == 404
    assert shop.erin.post("/api/v1/prices?project=shop", PRICE, "application/json").status_code == 201
    assert (
        shop.nobody.post("/api/v1/prices", PRICE, "application/json", headers=shop.key("read write")).status_code == 403
    )


def test_the_book_pages_both_ways_and_is_searched(admin):
    first = admin("get", "prices?q=claude&limit=5", status=200).json()
    rest = first["next"].removeprefix("http://testserver/api/v1/")
    second = admin("get", rest, status=200).json()
    back = admin("get", second["previous"].removeprefix("http://testserver/api/v1/"), status=200).json()

    assert first["previous"] is None
    assert back["items"] == first["items"]
    assert not {row["id"] for row in first["items"]} & {row["id"] for row in second["items"]}
    assert all("claude" in row["model"] for row in first["items"])
    assert all(row["source"] and row["source_date"] for row in first["items"])


@pytest.mark.parametrize(
    "query", ["cursor=x", "cursor=W10", "level=cosmic", "limit=1e9", "q=%00", "cursor=WyJhZnRlciIsMV0"]
)
def test_hostile_book_queries_are_400(admin, query):
    assert admin("get", f"prices?{query}").status_code == 400


def test_a_change_is_in_the_book_of_the_next_request(admin, shop):
    assert prices.load_book(shop.project.pk).match(None, "house-7b", None, 10**15) is None

    admin("post", "prices", PRICE, 201)

    found = prices.load_book(shop.project.pk).match(None, "house-7b", None, 10**15)
    assert found.row.rates[0] == 1_500_000
    assert prices.load_book(shop.project.pk) is prices.load_book(shop.project.pk)


def test_unpriced_models_are_listed_with_their_calls_and_tokens(admin):
    send_call(admin, "house-7b", tokens=(700, 30))
    send_call(admin, "house-7b", tokens=(300, 20), minutes=20)
    send_call(admin, "gpt-4o-mini", provider="openai")

    found = admin("get", "prices/unpriced", status=200).json()

    (model,) = found["items"]
    assert (model["model"], model["calls"], model["traces"]) == ("house-7b", 2, 2)
    assert (model["input_tokens"], model["output_tokens"]) == (1000, 50)
    assert found["is_all"] is True
    assert found["days"] == 30


def test_pricing_again_from_unpriced_to_exact(admin, shop):
    trace_id = send_call(admin, "house-7b", tokens=(1000, 100))
    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        prices.add_price(shop.project, PRICE, UTC, by_id=None)

    preview = admin("post", "reprice", {"start": (NOW - timedelta(days=1)).isoformat()}, 201).json()
    assert admin("post", f"reprice/{preview['id']}/apply").status_code == 409
    work.run_next()
    told = admin("get", f"reprice/{preview['id']}", status=200).json()
    assert (told["state"], told["may_apply"], told["difference"]["changed"]) == ("done", True, 1)
    assert told["difference"]["delta_usd"] == "0.0017"
    assert told["difference"]["models"][0]["model"] == "house-7b"
    assert admin("get", f"traces/{trace_id}").json()["cost"]["usd"] is None

    job = admin("post", f"reprice/{preview['id']}/apply", status=201).json()
    work.run_next()
    done = admin("get", f"reprice/{job['id']}", status=200).json()

    assert (done["state"], done["kind"], done["preview_id"]) == ("done", "apply", preview["id"])
    assert done["difference"]["delta_usd"] == told["difference"]["delta_usd"]
    trace = admin("get", f"traces/{trace_id}").json()
    assert Decimal(trace["cost"]["usd"]) == Decimal("0.0017")
    assert trace["cost"]["unpriced"] == 0
    assert admin("get", "prices/unpriced").json()["items"] == []
    assert admin("delete", f"reprice/{job['id']}").status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "start"),
        ({"start": "soon"}, "start"),
        ({"start": "2026-01-02", "end": "2026-01-01"}, "start"),
        ({"start": "1971-01-01", "end": "2199-01-01"}, "start"),
        ({"start": "2026-01-01", "models": "all"}, "models"),
        ({"start": "2026-01-01", "models": ["a\x00"]}, "models.0"),
        ({"start": "2026-01-01", "models": ["x"] * 101}, "models"),
        ({"start": 5}, "start"),
        ({"start": None}, "start"),
        ({"start": "2026-01-01", "force": True}, "force"),
    ],
)
def test_bad_orders_are_400_and_name_the_field(admin, body, field):
    answer = admin("post", "reprice", body)

    assert answer.status_code == 400, answer.content
    assert field in {error["field"] for error in answer.json()["errors"]}


def test_jobs_of_others_look_like_none(admin, shop):
    job = admin("post", "reprice", {"start": "2026-01-01"}, 201).json()["id"]
    theirs = shop.key("read admin", of=shop.elsewhere)

    for method, path in (("get", ""), ("delete", ""), ("post", "/apply")):
        assert getattr(shop.nobody, method)(f"/api/v1/reprice/{job}{path}", headers=theirs).status_code == 404
    assert shop.nobody.get("/api/v1/reprice", headers=theirs).json()["items"] == []
    for job_id in ("0", "x", "%00", "9" * 30, "-1"):
        assert admin("get", f"reprice/{job_id}").status_code == 404
