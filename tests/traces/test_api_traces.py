"""REST of traces and spans, fed through the native door."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from traces.ingest.rules import forget as forget_rules
from traces.write import partitions, spans

NOW = datetime.now(UTC).replace(microsecond=0)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh():
    partitions.forget()
    spans.forget()
    forget_rules()


def at(minutes):
    return (NOW - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def make_trace(*, minutes=10, name="ask", model="gpt-4o-mini", calls=1, **fields):
    times = {"start": at(minutes), "end": at(minutes - 1)}
    generations = [
        {
            "id": f"{0xB0 + n:016x}", "parent": "00000000000000a1", "name": "chat", "kind": "generation",
            "model": model, "provider": "openai",
            "usage": {"input_tokens": 1000, "cached_tokens": 0, "output_tokens": 100},
            "input": [{"role": "user", "content": "hello"}], "output": "hi", **times,
        }
        for n in range(calls)
    ]  # fmt: skip
    root = {"id": "00000000000000a1", "name": name, "kind": "chain", **times, **fields}
    return {"trace_id": uuid4().hex, "spans": [root, *generations]}


def send(shop, *made, project=None):
    key = shop.key("ingest", of=project) if project else shop.key("ingest")
    ids = []
    for body in made:
        answer = shop.nobody.post("/api/v1/traces", body, "application/json", headers=key)
        assert answer.status_code == 200, answer.content
        assert answer.json()["rejected"] == 0, answer.content
        ids.append(body["trace_id"])
    return ids


def get(shop, path, status=200, **headers):
    answer = shop.nobody.get(path, headers={**shop.key("read"), **headers})
    assert answer.status_code == status, answer.content
    return answer.json()


def test_what_is_sent_can_be_read_back_at_once(shop):
    (trace_id,) = send(shop, make_trace(user="u_1"))

    listed = get(shop, "/api/v1/traces")
    one = get(shop, f"/api/v1/traces/{trace_id}")

    assert listed["items"] == [one]
    assert (listed["next"], listed["previous"]) == (None, None)
    assert (one["trace_id"], one["name"], one["span_count"]) == (trace_id, "ask", 2)
    assert (one["input_tokens"], one["output_tokens"]) == (1000, 100)
    assert one["cost"]["state"] in {"exact", "at_most"}
    assert Decimal(one["cost"]["usd"]) == Decimal("0.00021")
    assert one["started_at"].endswith("Z")
    assert one["user_id"] == "u_1"
    assert one["session_id"] is None


def test_unknown_cost_is_null_and_never_zero(shop):
    (trace_id,) = send(shop, make_trace(model="nobody-knows-this"))

    one = get(shop, f"/api/v1/traces/{trace_id}")

    assert one["cost"]["usd"] is None
    assert one["cost"]["state"] == "unpriced"
    assert one["cost"]["unpriced"] == 1


def test_lists_page_both_ways_and_keep_the_filter(shop):
    ids = send(shop, *(make_trace(minutes=60 - n, name="kept") for n in range(5)))
    send(shop, make_trace(name="other"))

    first = get(shop, "/api/v1/traces?name=kept&limit=2")
    second = get(shop, first["next"])
    third = get(shop, second["next"])
    back = get(shop, third["previous"])

    seen = [row["trace_id"] for page in (first, second, third) for row in page["items"]]
    assert seen == ids[::-1]
    assert third["next"] is None
    assert first["previous"] is None
    assert back["items"] == second["items"]


def test_filters_sort_and_search(shop):
    cheap, dear = send(shop, make_trace(user="u_1"), make_trace(calls=3, user="u_2", minutes=20))

    def ids(query):
        return [row["trace_id"] for row in get(shop, f"/api/v1/traces?{query}")["items"]]

    assert ids("user=u_1") == [cheap]
    assert ids("user=u_1&user=u_2&sort=-cost") == [dear, cheap]
    assert ids("spans.min=3") == [dear]
    assert ids(f"q={dear}") == [dear]
    assert ids(f"from={at(15)}") == [cheap]
    assert ids(f"to={at(15)}") == [dear]
    assert ids("cost_status=unpriced") == []


def test_spans_page_in_order_and_bring_bodies_when_asked(shop):
    (trace_id,) = send(shop, make_trace(calls=4))

    first = get(shop, f"/api/v1/traces/{trace_id}/spans?limit=2")
    second = get(shop, first["next"])
    third = get(shop, second["next"])
    back = get(shop, second["previous"])
    whole = get(shop, f"/api/v1/traces/{trace_id}/spans?include=body")

    seen = [row["span_id"] for page in (first, second, third) for row in page["items"]]
    assert seen == ["00000000000000a1", *(f"{0xB0 + n:016x}" for n in range(4))]
    assert back["items"] == first["items"]
    assert "body" not in first["items"][0]
    assert [row["span_id"] for row in whole["items"]] == seen
    assert "hello" in str(whole["items"][1]["body"])


def test_one_span_has_its_body_price_and_parts(shop):
    (trace_id,) = send(shop, make_trace())

    span = get(shop, f"/api/v1/traces/{trace_id}/spans/00000000000000b0")

    assert (span["kind"], span["model_requested"], span["counted"]) == ("generation", "gpt-4o-mini", True)
    assert span["usage"]["input_fresh"] == 1000
    assert span["cost_usd"] == "0.00021"
    assert span["cost_parts_usd"]["output_text"] == "0.00006"
    price = get(shop, f"/api/v1/prices/{span['price_id']}")
    assert (price["level"], price["input_fresh"]) == ("shipped", "0.15")
    assert "hello" in str(span["body"])


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/traces/{foreign}",
        "/api/v1/traces/{foreign}/spans",
        "/api/v1/traces/{foreign}/spans/00000000000000a1",
        "/api/v1/traces/" + "0" * 32,
        "/api/v1/traces/" + "f" * 32 + "/spans",
        "/api/v1/traces/%00",
        "/api/v1/traces/" + "x" * 2000,
        "/api/v1/traces/%ff%fe",
        "/api/v1/traces/..%2f..%2fetc",
        "/api/v1/traces/{mine}/spans/zz",
        "/api/v1/traces/{mine}/spans/ffffffffffffffff",
        "/api/v1/traces/{mine}/spans/%00",
        "/api/v1/traces/{mine}/spans/" + "9" * 400,
    ],
)
def test_foreign_and_missing_ids_are_one_404(shop, path):
    (mine,) = send(shop, make_trace())
    (foreign,) = send(shop, make_trace(), project=shop.elsewhere)

    found = get(shop, path.format(foreign=foreign, mine=mine), status=404)

    assert found["status"] == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("cursor=abc", "cursor"),
        ("cursor=older.%00", "cursor"),
        ("cursor=older.W10", "cursor"),
        ("cursor=newer." + "A" * 3000, "cursor"),
        ("cursor=sideways.x", "cursor"),
        ("sort=colour", "sort"),
        ("sort=%00", "sort"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=99999999999999999999999", "limit"),
        ("cost.min=NaN", "cost.min"),
        ("cost.min=1e999", "cost.min"),
        ("cost.not=1", "query"),
        ("user=%00", "user"),
        ("status=purple", "status"),
        ("q=%00", "q"),
        ("from=2026-11-19&to=2026-11-19", "from"),
        ("colour=red", "query"),
    ],
)
def test_hostile_lists_are_400_and_name_the_field(shop, query, field):
    found = get(shop, f"/api/v1/traces?{query}", status=400)

    assert found["errors"][0]["field"] == field


def test_hostile_span_cursors_are_400(shop):
    (trace_id,) = send(shop, make_trace())

    for cursor in ("x", "W10", "WyJhZnRlciIsIngiLDFd", "WyJzaWRld2F5cyIsMSwxXQ"):
        found = get(shop, f"/api/v1/traces/{trace_id}/spans?cursor={cursor}", status=400)
        assert found["errors"][0]["field"] == "cursor"


def test_the_two_things_at_one_address_need_their_own_scopes(shop):
    assert shop.nobody.get("/api/v1/traces", headers=shop.key("ingest")).status_code == 403
    assert (
        shop.nobody.post("/api/v1/traces", make_trace(), "application/json", headers=shop.key("read")).status_code
        == 403
    )
    wrong = shop.nobody.put("/api/v1/traces", headers=shop.key("read"))
    assert wrong.status_code == 405
    assert wrong["Allow"] == "GET, HEAD, POST"


def test_strangers_see_no_traces(shop):
    (trace_id,) = send(shop, make_trace())

    assert shop.bob.get(f"/api/v1/traces/{trace_id}?project=shop").status_code == 200
    assert shop.charlie.get(f"/api/v1/traces/{trace_id}?project=shop").status_code == 404
    assert shop.charlie.get(f"/api/v1/traces/{trace_id}?project=elsewhere").status_code == 404


def test_a_list_page_costs_a_fixed_number_of_queries(shop, django_assert_max_num_queries):
    send(shop, *(make_trace(minutes=30 - n) for n in range(10)))
    headers = shop.key("read")
    shop.nobody.get("/api/v1/traces", headers=headers)

    with django_assert_max_num_queries(6):
        shop.nobody.get("/api/v1/traces", headers=headers)
