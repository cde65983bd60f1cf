"""The cost page: the answer first, every sum down to its traces, nothing unknown shown as $0."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import UTC, datetime, timedelta

import orjson
import psycopg
import pytest
import time_machine

from tests.traces.cost_rows import HAIKU, MODEL, Traffic, price
from traces.read import TooSlow, cost

NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
URL = "/p/shop/cost/"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def traffic(shop):
    return Traffic(shop)


@pytest.fixture
def look(shop):
    """GET the page as bob, its viewer."""

    def get(query="", status=200):
        answer = shop.bob.get(URL + query)
        assert answer.status_code == status
        return answer.content.decode()

    return get


def day(number, hour=9):
    return datetime(2026, 11, number, hour, tzinfo=UTC)


def heading(page):
    return html.unescape(re.search("<h1>(.*)</h1>", page)[1])


def text(page):
    """What stands in the page's main part, in one line."""
    main = page.partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", main)).split())


def cells(page, name):
    """The cells of the row of the breakdown that is called `name`."""
    table = page.partition('class="cost-table"')[2].partition("</table>")[0]
    row = next(row for row in table.split("<tr>") if f">{name}<" in row)
    return [" ".join(html.unescape(re.sub(r"<[^>]+>", " ", cell)).split()) for cell in re.split(r"</t[dh]>", row)][:-1]


def link_of(page, name):
    table = page.partition('class="cost-table"')[2].partition("</table>")[0]
    return html.unescape(re.search(rf'href="([^"]+)">{re.escape(name)}<', table)[1])


def test_nothing_spent_says_so_and_shows_no_zero(look):
    page = look()

    assert "Nothing was spent yet" in page
    assert "$0" not in text(page)


def test_a_bill_of_this_month(look, traffic):
    traffic.send(
        traffic.call(day(12), n=4, fresh=400_000, cached=600_000, out=100_000, feature="search"),
        traffic.call(day(19, 8), n=1, fresh=1000, out=100),
    )

    page = look()

    spent = price(400_000, 600_000, 100_000, 4) + price(1000, 0, 100)
    assert heading(page) == f"${spent / 1e12:.2f} so far this month"
    assert "day 19 of 30, today so far included" in page


def test_little_data_gives_no_forecast_but_the_number_needed(look, traffic):
    traffic.send(traffic.call(day(12), n=3))

    assert "Too little data for a forecast: 7 whole days so far, 14 are needed." in text(look())


def test_a_month_is_on_course_for_its_forecast(look, traffic):
    traffic.send(*(traffic.call(day(1) - timedelta(days=n), fresh=10**6, out=0) for n in range(-18, 30)))

    page = look()

    # $0.15 a day; nothing today yet but the day of 9 o'clock is over.
    assert heading(page) == "On course for about $4.58 this month"
    assert "Month-end forecast $4.58–$4.58 (80% interval), from 47 days" in text(page)


def test_rows_by_model_with_their_tokens(look, traffic):
    traffic.send(
        traffic.call(day(3), n=4, fresh=400_000, cached=600_000, out=100_000),
        traffic.call(day(4), n=2, model=HAIKU, provider="anthropic", fresh=1000, out=100),
    )

    row = cells(look("?by=model"), MODEL)

    assert row == ["gpt-4o-mini openai", "4", "1.6 M", "2.4 M 60%", "400,000", "$0.17", "$0.66", "over 99%", "new"]


def test_every_row_opens_exactly_what_it_counts(look, traffic, shop):
    traffic.send(
        traffic.call(day(3), n=4, feature="search", environment="live", release="1",
                     prompt={"name": "p", "version": "2"}),
        traffic.call(day(4), n=3, feature="returns"),
        traffic.call(day(5), n=2, model=HAIKU, provider="anthropic", feature="search"),
        traffic.call(datetime(2026, 10, 31, 23, 59, tzinfo=UTC), n=1, feature="search"),
    )  # fmt: skip
    names = {"feature": "search", "environment": "live", "release": "1", "prompt": "p 2", "model": HAIKU,
             "provider": "openai"}  # fmt: skip

    for by, name in names.items():
        page = look(f"?by={by}")
        n = cells(page, name)[1]
        listed = text(shop.bob.get(link_of(page, name)).content.decode())
        assert re.search(rf"1–{n} of {n}\b|{n} calls? in {n} trace", listed), (by, n, listed[:400])


def test_unknown_values_have_a_row_and_open_too(look, traffic, shop):
    traffic.send(traffic.call(day(3), n=3), traffic.call(day(4), n=2, feature="search"))

    page = look("?by=feature")

    assert cells(page, "no feature told")[1] == "3"
    assert "1–3 of 3" in text(shop.bob.get(link_of(page, "no feature told")).content.decode())


def test_what_has_no_price_is_told_and_never_zero(look, traffic):
    traffic.send(
        traffic.call(day(3), n=3, fresh=10**6), traffic.call(day(4), n=2, model="ours-7b", provider="vllm"),
        traffic.call(day(5), n=1, usage=False),
    )  # fmt: skip

    page = look()

    assert "2 of 6 calls (33%) have no full price and are in no sum" in page
    assert "1 call tells no tokens" in page
    assert "cost_status=unpriced" in page
    assert cells(page, "ours-7b")[6:] == ["unpriced", "unknown", "unknown"]
    assert "at least $0.45" in text(page)


def test_cache_savings_are_money(look, traffic):
    traffic.send(traffic.call(day(3), n=10, fresh=10**6, cached=3 * 10**6, out=0))

    # 30 million tokens at 0.075 below the price of fresh ones; the bill is 1.5 + 2.25.
    assert "75% saved $2.25, 38% of the bill without it" in text(look())


def test_judging_is_apart(look, traffic):
    traffic.send(
        traffic.call(day(3), n=3, fresh=10**6, out=0),
        traffic.call(day(3), n=1, fresh=10**6, out=0, service="telltale.judge"),
    )

    page = look()

    assert "Judging $0.15 25% of spent, which holds it" in text(page)
    assert cells(page, MODEL)[1] == "3"
    assert "Spent $0.60" in text(page)


def test_without_judging_none_yet(look, traffic):
    traffic.send(traffic.call(day(3)))

    assert "Judging none yet" in text(look())


def test_the_change_is_told_part_by_part(look, traffic):
    october = datetime(2026, 10, 5, 9, tzinfo=UTC)
    traffic.send(traffic.call(october, n=10, fresh=10**6, out=0), traffic.call(day(5), n=20, fresh=10**6, out=0))

    page = text(look())

    assert "$1.50 more than 1–18 Oct 2026, most by volume" in page
    assert "Volume +$1.50 More calls: 20 against 10 (+100%)." in page
    assert "Cache no change No change." in page


def test_users_and_sessions(look, traffic):
    traffic.send(
        traffic.call(day(3), n=5, fresh=10**6, out=0, user_id="u_1", session_id="s one/1"),
        traffic.call(day(4), n=1, fresh=10**6, out=0, user_id="u_2", session_id="s2"),
    )

    assert cells(look("?by=user"), "u_1")[1:] == ["5", "5.0 M", "0", "0", "$0.15", "$0.75"]
    assert cells(look("?by=session"), "s one/1")[1:] == ["5", "5.0 M", "0", "0", "$0.15", "$0.75"]
    assert "Dearest users of November" in look()
    assert "u_1" in look()
    assert "No request in this period names a user" in look("?by=user&t=7d")


@pytest.mark.parametrize(
    ("now", "changed", "hours"),
    [(datetime(2026, 11, 19, 11, tzinfo=UTC), "2026-10-25", 25),
     (datetime(2026, 4, 19, 11, tzinfo=UTC), "2026-03-29", 23)],
)  # fmt: skip
def test_days_of_23_and_25_hours_hold_all_their_requests(shop, now, changed, hours):
    shop.project.time_zone = "Europe/Berlin"
    shop.project.save()
    with time_machine.travel(now, tick=False):
        traffic = Traffic(shop)
        first = datetime.fromisoformat(f"{changed}T00:30:00").replace(tzinfo=UTC) - timedelta(hours=6)
        # One an hour, from before the day until after it.
        traffic.send(*(traffic.call(first + timedelta(hours=at)) for at in range(36)))

        page = shop.bob.get(f"{URL}?by=day&t=last_month").content.decode()

    row = next(row for row in page.split("<tr>") if f"{hours} hours" in row)
    assert re.search(rf">{hours}</a>", row)


@pytest.mark.parametrize(
    ("query", "says"),
    [("?by=colour", "There is no breakdown by 'colour'"), ("?t=9y", "There is no period '9y'"),
     ("?from=yesterday", "from is no day"), ("?from=2026-11-09&to=2026-11-01", "from lies behind `to`"),
     ("?from=2020-01-01&to=2026-01-01", "from is too far from `to`: at most 400 days"),
     ("?to=2026-11-01", "from is no day"), ("?from=%00", "from is no day"),
     ("?by=%22%3E%3Cscript%3E", "There is no breakdown")],
)  # fmt: skip
def test_an_address_that_is_not_understood_is_told_so_and_answered(look, traffic, query, says):
    traffic.send(traffic.call(day(3)))

    page = look(query)

    assert says in html.unescape(page)
    assert "<script>" not in page.partition("<main")[2]


def test_given_days_include_both_ends(look, traffic):
    traffic.send(traffic.call(day(3), n=1), traffic.call(day(5, 23), n=2), traffic.call(day(6, 0), n=4))

    page = look("?from=2026-11-03&to=2026-11-05")

    assert "3 requests" in page
    assert "3–5 Nov 2026" in heading(page)


def test_text_of_senders_is_text(look, traffic):
    traffic.send(traffic.call(day(3), feature="<script>alert(1)</script>\u202e", user_id="<b>"))

    for by in ("feature", "user"):
        page = look(f"?by={by}")
        assert "<script>alert" not in page
        assert "\u202e" not in page


def test_exports_have_every_row_exactly(look, traffic, shop):
    traffic.send(*(traffic.call(day(3), feature=f"f{n}", fresh=n + 1, out=0) for n in range(60)))

    assert "And 10 more" in text(look("?by=feature"))
    assert "And" not in text(look("?by=feature&rows=all")).partition("Total")[0][-40:]
    answer = shop.bob.get(URL + "?by=feature&format=csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert len(rows) == 60
    assert rows[0]["feature"] == "f59"
    assert rows[0]["cost_usd"] == "0.000009"
    lines = b"".join(shop.bob.get(URL + "?by=day&format=ndjson")).splitlines()
    assert [orjson.loads(line)["requests"] for line in lines] == [0, 0, 60, *[0] * 16]


def test_too_slow_is_a_page_with_a_way_out(look, monkeypatch):
    def slow(*args):
        raise TooSlow

    monkeypatch.setattr("traces.pages_cost.read_cost_page", slow)

    assert "This took too long" in look(status=503)


def test_dear_users_too_slow_to_find_do_not_take_the_page(look, traffic, monkeypatch):
    traffic.send(traffic.call(day(3), user_id="u_1"))

    def slow(*args):
        raise TooSlow

    monkeypatch.setattr(cost, "read_sessions", slow)
    monkeypatch.setattr(cost, "read_users", slow)

    page = look("?by=user")
    assert "took too long and was stopped" in page
    assert "Spent" in page


@pytest.fixture
def queries(monkeypatch):
    """How many statements anybody sent, by Django or beside it."""
    sent = []
    real = psycopg.Cursor.execute

    def execute(self, query, *args, **kwargs):
        sent.append(query)
        return real(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", execute)
    return sent


@pytest.mark.parametrize("by", cost.BY)
def test_the_number_of_queries_does_not_grow(look, traffic, queries, by):
    traffic.send(traffic.call(day(3), user_id="u", session_id="s"))
    look(f"?by={by}")
    queries.clear()
    look(f"?by={by}")
    few = len(queries)
    traffic.send(*(
        traffic.call(day(1 + n % 19, n % 8), model=f"m{n % 7}", feature=f"f{n % 5}", release=str(n % 3),
                     user_id=f"u{n}", session_id=f"s{n}", prompt={"name": "p", "version": str(n % 4)})
        for n in range(150)
    ))  # fmt: skip
    queries.clear()

    look(f"?by={by}")

    assert len(queries) == few
    assert few <= 32
    assert not any("traces_span" in str(query) for query in queries)


def test_charlie_gets_nothing(shop):
    assert shop.charlie.get(URL).status_code == 404


def test_a_month_without_any_price_is_not_zero(look, traffic):
    traffic.send(*(traffic.call(day(18) - timedelta(days=n), model="ours-7b", provider="vllm") for n in range(40)))

    for query in ("", "?by=day", "?by=feature", "?by=user", "?t=7d"):
        page = text(look(query))
        assert "Nothing priced" in heading(look(query))
        assert "$0" not in page.replace("Unknown is not $0", "")
        assert "unpriced" in page


def test_a_list_of_users_that_may_lack_some_says_so(look, traffic, monkeypatch):
    for number in (3, 4):
        traffic.send(traffic.call(day(number), user_id=f"u_{number}"))
    exact = text(look("?by=user"))
    monkeypatch.setattr("traces.read.rollup_users.ROWS_MAX", 1)

    page = text(look("?by=user"))

    assert "among the dearest of a day" not in exact
    assert "Too many users to sum each: these were among the dearest of a day." in page
