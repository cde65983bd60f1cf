"""Cost by REST: the same figures as the page, exact, with every bad question answered by what would be good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import time_machine
from django.db import connection

from tests.traces.cost_rows import HAIKU, MODEL, Traffic, price

NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def traffic(shop):
    return Traffic(shop)


@pytest.fixture
def ask(shop):
    """GET below /api/v1/cost with a key that reads."""
    key = shop.key("read")

    def get(path="", status=200):
        answer = shop.nobody.get(f"/api/v1/cost{path}", headers=key)
        assert answer.status_code == status, answer.content
        return answer.json()

    return get


def day(number, hour=9):
    return datetime(2026, 11, number, hour, tzinfo=UTC)


def dollars(pico):
    return Decimal(pico).scaleb(-12)


def test_costs_equal_sql_over_spans(ask, traffic, shop):
    traffic.send(
        traffic.call(day(3), n=7, fresh=1234, cached=567, out=89, feature="search"),
        traffic.call(day(4), n=3, model=HAIKU, provider="anthropic", feature="returns"),
        traffic.call(day(5), n=2, model="ours-7b", provider="vllm", feature="returns"),
        traffic.call(datetime(2026, 10, 30, tzinfo=UTC), n=5, feature="search"),
    )

    answer = ask("?by=model")

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(model_answered, model_requested), count(*), sum(input_fresh), sum(cost_pico)"
            " FROM traces_span WHERE project_id = %s AND kind = 1 AND started_at >= '2026-11-01Z' GROUP BY 1",
            [shop.project.pk],
        )
        stored = {model: (n, fresh, cost) for model, n, fresh, cost in cursor.fetchall()}
    assert {row["model"] for row in answer["items"]} == set(stored)
    for row in answer["items"]:
        n, fresh, pico = stored[row["model"]]
        assert (row["calls"], row["input_fresh"]) == (n, fresh)
        assert row["cost_usd"] == (None if pico is None else str(dollars(pico).normalize()))
    assert Decimal(answer["total"]["cost_usd"]) == dollars(sum(cost or 0 for _, _, cost in stored.values()))
    assert answer["total"]["unpriced_calls"] == 2
    assert answer["period"]["first_day"] == "2026-11-01"


def test_by_feature_sums_what_the_list_sums(ask, traffic, shop):
    traffic.send(traffic.call(day(3), n=3, feature="search"), traffic.call(day(4), n=2))

    rows = {row["feature"]: row for row in ask("?by=feature")["items"]}

    listed = shop.nobody.get("/api/v1/traces?feature=search", headers=shop.key("read")).json()["items"]
    assert rows["search"]["requests"] == len(listed) == 3
    assert Decimal(rows["search"]["cost_usd"]) == sum(Decimal(row["cost"]["usd"]) for row in listed)
    assert rows[None]["requests"] == 2
    assert rows["search"]["calls"] is None


def test_rows_page_by_cursor(ask, traffic, shop):
    traffic.send(*(traffic.call(day(3), feature=f"f{n:02}", fresh=100 - n) for n in range(7)))
    key = shop.key("read")

    seen, path = [], "/api/v1/cost?by=feature&limit=3"
    while path:
        answer = shop.nobody.get(path, headers=key).json()
        seen += [row["feature"] for row in answer["items"]]
        path = answer["next"] and answer["next"].removeprefix("http://testserver")

    assert seen == [f"f{n:02}" for n in range(7)]
    back = shop.nobody.get(answer["previous"].removeprefix("http://testserver"), headers=key).json()
    assert [row["feature"] for row in back["items"]] == ["f03", "f04", "f05"]


def test_days_of_the_zone(ask, traffic, shop):
    shop.project.time_zone = "Europe/Berlin"
    shop.project.save()
    first = datetime(2026, 10, 24, 21, 30, tzinfo=UTC)
    traffic.send(*(traffic.call(first + timedelta(hours=at)) for at in range(30)))

    answer = ask("/days?from=2026-10-24&to=2026-10-26")

    rows = [(row["day"], row["hours"], row["requests"]) for row in answer["items"]]
    assert rows == [("2026-10-24", 24.0, 1), ("2026-10-25", 25.0, 25), ("2026-10-26", 24.0, 4)]
    assert answer["items"][1]["start"] == "2026-10-24T22:00:00Z"
    assert Decimal(answer["total"]["cost_usd"]) == dollars(price(n=30))


def test_the_parts_of_a_change_sum_exactly(ask, traffic):
    october = datetime(2026, 10, 5, 9, tzinfo=UTC)
    traffic.send(
        traffic.call(october, n=7, fresh=1111, cached=0, out=333),
        traffic.call(october, n=3, model=HAIKU, provider="anthropic", fresh=997, out=101),
        traffic.call(day(5), n=11, fresh=1013, cached=511, out=127),
        traffic.call(day(6), n=2, model=HAIKU, provider="anthropic", fresh=1500, out=89),
        traffic.call(day(7), n=1, model="gpt-4o", fresh=10, out=5),
    )

    change = ask("/change")["change"]

    parts = {part["part"]: Decimal(part["usd"]) for part in change["parts"]}
    assert sum(parts.values()) == Decimal(change["change_usd"])
    assert Decimal(change["change_usd"]) == Decimal(change["now_usd"]) - Decimal(change["before_usd"])
    assert list(parts) == ["volume", "mix", "price", "input", "output", "cache"]
    assert all(parts[name] for name in parts if name != "price")
    assert parts["price"] == 0
    assert (change["period"]["first_day"], change["period"]["last_day"]) == ("2026-11-01", "2026-11-18")
    assert (change["before"]["first_day"], change["before"]["last_day"]) == ("2026-10-01", "2026-10-18")
    assert (change["calls_before"], change["calls_now"]) == (10, 14)


def test_nothing_to_compare_is_null(ask):
    with time_machine.travel(datetime(2026, 11, 1, 9, tzinfo=UTC), tick=False):
        assert ask("/change") == {"change": None}


def test_the_forecast_or_how_much_is_missing(ask, traffic):
    traffic.send(traffic.call(day(18)))
    little = ask("/forecast")
    traffic.send(*(traffic.call(day(1) - timedelta(days=n), fresh=10**6, out=0) for n in range(-17, 30)))
    enough = ask("/forecast")

    assert (little["forecast_usd"], little["low_usd"], little["n"], little["needed"]) == (None, None, 1, 14)
    assert little["spent_usd"] == f"{dollars(price()):.6f}"
    assert enough["n"] == 47
    low, middle, high = (Decimal(enough[name]) for name in ("low_usd", "forecast_usd", "high_usd"))
    assert Decimal(enough["spent_usd"]) <= low <= middle <= high
    assert enough["ahead"][-1]["day"] == "2026-11-30"
    assert enough["ahead"][-1]["usd"] == enough["forecast_usd"]
    assert enough["month"] == "2026-11"


def test_users_and_sessions(ask, traffic):
    traffic.send(traffic.call(day(3), n=5, user_id="u1", session_id="s1"), traffic.call(day(4), user_id="u2"))

    users, sessions = ask("?by=user")["items"], ask("?by=session")["items"]

    assert (users[0]["user"], users[0]["requests"]) == ("u1", 5)
    assert Decimal(users[0]["cost_usd"]) == dollars(price(n=5))
    assert len(users) == 2
    assert [(row["session"], row["requests"]) for row in sessions] == [("s1", 5)]


def test_judging_is_apart(ask, traffic):
    assert ask()["judging"] is None
    traffic.send(traffic.call(day(3), n=2), traffic.call(day(3), service="telltale.judge"))

    answer = ask()

    assert answer["judging"]["requests"] == 1
    assert [(row["model"], row["calls"]) for row in answer["items"]] == [(MODEL, 2)]
    assert answer["total"]["requests"] == 3


@pytest.mark.parametrize(
    ("path", "field"),
    [("?by=colour", "by"), ("?t=9y", "t"), ("?t=7d&from=2026-11-01", "t"), ("?from=x", "from"),
     ("?to=2026-11-05", "from"),
     ("?from=2026-11-09&to=2026-11-01", "from"), ("?from=2020-01-01&to=2026-01-01", "from"), ("?limit=0", "limit"),
     ("?cursor=abc", "cursor"), ("?model=x", "query"), ("/days?by=model", "query"), ("/change?t=x", "t"),
     ("/forecast?t=7d", "query"), ("?from=2027-01-01", "from")],
)  # fmt: skip
def test_bad_questions_name_the_field_and_what_is_accepted(ask, path, field):
    answer = ask(path, 400)

    assert answer["errors"][0]["field"] == field
    assert answer["errors"][0]["limit"]


def test_a_cursor_of_another_breakdown_is_refused(ask, traffic):
    traffic.send(*(traffic.call(day(3), feature=f"f{n}", model=f"m{n}") for n in range(3)))
    cursor = ask("?by=feature&limit=1")["next"].partition("cursor=")[2].partition("&")[0]

    assert ask(f"?by=model&cursor={cursor}", 400)["errors"][0]["field"] == "cursor"
