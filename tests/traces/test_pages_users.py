"""The pages that list users and show one, through the browser's door."""

from __future__ import annotations

import base64
import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from traces.folding import fold_roll_ups
from traces.pages.addresses import write_id
from traces.read import TraceFilter
from traces.read.asking import TooSlow
from traces.read.users import UserSums, list_users, read_user, whole_days
from traces.rollup.buckets import calendar_of
from traces.write import rollup_memory

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/users/"


def hex_id(n):
    return f"{n:032x}"


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def names(html):
    return re.findall(r'class="rowlink clip2"[^>]* href="[^"]*">([^<]*)</a>', html)


def fold():
    while fold_roll_ups().traces:
        pass


@pytest.fixture
def people(shop, otlp):
    """ada: three requests, one failed; bob: one without a price; one request without a user."""
    rollup_memory.forget()

    def ask(n, user, **more):
        attributes = {"user.id": user, "session.id": f"s_{user}"} | more.pop("attributes", {})
        otlp.send(otlp.generation(hex_id(n), f"{n:016x}", at_ms=n * 1000, attributes=attributes, **more))

    ask(1, "ada")
    ask(2, "ada")
    ask(3, "ada", status={"code": 2})
    ask(4, "bob", attributes={"gen_ai.response.model": "house", "gen_ai.request.model": "house"})
    otlp.send(otlp.span(hex_id(5), "5" * 16, name="cron"))
    fold()
    return shop


def test_the_dearest_users_come_first(people):
    html = read(people.bob)

    assert names(html) == ["ada", "bob"]
    assert "2 users" in html
    assert "20% of 5 requests name no user and are not listed." in html
    assert "unpriced" in html
    assert "$0.0006" in html
    assert "$0.0000" not in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("sort=cost", ["bob", "ada"]),
        ("sort=-requests", ["ada", "bob"]),
        ("sort=-last_at", ["bob", "ada"]),
        ("sort=-errors", ["ada", "bob"]),
        ("sort=tokens", ["bob", "ada"]),
        ("requests.min=2", ["ada"]),
        ("errors.max=0", ["bob"]),
        ("cost.min=0.0001", ["ada"]),
        ("q=OB", ["bob"]),
        ("t=28d", ["ada", "bob"]),
        ("t=all", ["ada", "bob"]),
        ("from=2020-01-01&to=2020-01-05", []),
    ],
)
def test_filters_sorts_windows_and_search(people, query, found):
    assert names(read(people.bob, f"{PAGE}?{query}")) == found


def test_zero_results_say_what_to_drop_and_a_bad_filter_is_told(people):
    nothing = read(people.bob, PAGE + "?requests.min=50")
    wrong = read(people.bob, PAGE + "?requests.min=x&sort=odd&after=zz")

    assert "No user matches" in nothing
    assert "Drop Requests at least 50" in nothing
    assert "requests.min is no number" in wrong
    assert "sort is not accepted" in wrong
    assert "cursor is none that this list gave" in wrong
    assert names(wrong) == ["ada", "bob"]


@pytest.mark.parametrize(
    ("sort", "value"),
    [
        ("-cost", "٣"), ("-cost", "1e3"), ("-cost", "9" * 39), ("-requests", str(2**63)), ("-last_at", "2026-W01-1"),
        ("-last_at", "2026-01-01T00:00:00"), ("-cost", 5), ("-cost", "NaN"),
    ],
)  # fmt: skip
def test_a_cursor_of_nobodys_making_is_told_and_not_a_500(people, sort, value):
    raw = base64.urlsafe_b64encode(orjson.dumps([sort, value, "ada", 1])).decode().rstrip("=")

    html = read(people.bob, f"{PAGE}?sort={sort}&before={raw}")

    assert "cursor is none that this list gave" in html


def test_without_users_the_page_says_how_to_send_one(shop, otlp):
    otlp.send(otlp.span(hex_id(1), "1" * 16))

    assert "No trace names a user" in read(shop.bob)


def test_the_form_adds_a_filter(people):
    answer = people.bob.get(PAGE + "?field=requests&op=is&value=2")

    assert answer.url == PAGE + "?requests.min=2"


def test_the_list_is_a_file_too(people):
    answer = people.bob.get(PAGE + "?format=csv")
    lines = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    assert [(line["user_id"], line["requests"], line["cost_usd"]) for line in lines] == [
        ("ada", "3", "0.00063"),
        ("bob", "1", ""),
    ]


def test_many_users_page_without_gap_or_repeat(shop, otlp):
    rollup_memory.forget()
    otlp.send(*(otlp.span(hex_id(n), f"{n:016x}", attributes={"user.id": f"u{n:03}"}) for n in range(1, 121)))
    fold()

    seen, path = [], PAGE + "?sort=-requests"
    while path:
        html = read(shop.bob, path)
        seen += names(html)
        older = re.search(r'rel="next" href="([^"]*)">Older', html)
        path = PAGE + older[1] if older else ""

    assert seen == [f"u{n:03}" for n in range(120, 0, -1)]
    assert "101–120 of 120" in html


def test_a_user_shows_what_was_used_and_links_to_it(people):
    html = read(people.bob, PAGE + "ada/")
    stats = dict(re.findall(r'<dt>([^<]*)</dt><dd class="v">([^<]*)', html))

    assert stats == {
        "Requests": "3",
        "Cost": "$0.0006",
        "Requests with errors": "1",
        "Tokens": "3,000 in, 300 out",
    }
    assert "$0.0002 a request" in html
    assert 'href="/p/shop/sessions/s_ada/' in html
    assert html.count(f"/p/shop/traces/{hex_id(3)}/") == 2  # among the failed, and among all
    assert "Cost by day in UTC." in html
    assert re.search(r'href="/p/shop/traces/\?from=[^"]*&user=ada"', html)
    assert "bob" not in html.split("<main")[1]


def test_unpriced_and_unknown_are_said(people):
    html = read(people.bob, PAGE + "bob/")

    assert "1 span unpriced" in html
    assert "<figure" not in html
    assert "$0" not in html


def test_a_window_without_requests_says_so(people):
    html = read(people.bob, PAGE + "ada/?from=2020-01-01&to=2020-01-03")

    assert "No requests in this time range" in html


def test_not_there_and_not_yours_are_one_answer(people):
    assert people.bob.get(PAGE + "nobody/").status_code == 404
    assert people.charlie.get(PAGE + "ada/").status_code == 404
    assert people.charlie.get("/p/elsewhere/users/ada/").status_code == 404


def test_sums_outlive_the_traces(people):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace")
        cursor.execute("DELETE FROM traces_session")

    html = read(people.bob, PAGE + "ada/")
    listed = read(people.bob)

    assert "the sums stay" in html
    assert "traces gone" in listed


def test_days_are_those_of_the_projects_zone(people):
    """A day of 25 hours is one day, and one of 23 hours too."""
    stockholm = calendar_of("Europe/Stockholm")
    autumn = whole_days(stockholm, datetime(2026, 10, 25, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC))
    spring = whole_days(stockholm, datetime(2026, 3, 29, 0, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC))

    assert autumn.end - autumn.start == timedelta(hours=25)
    assert spring.end - spring.start == timedelta(hours=23)


def test_months_and_days_sum_to_the_same(people):
    utc, now = calendar_of("UTC"), datetime.now(UTC)
    sums = "user_id, n, errors, input_tokens, cached_tokens, output_tokens, cost_pico, unpriced_count"
    with connection.cursor() as cursor:
        for grain in (1440, 43_200):
            cursor.execute(
                "INSERT INTO traces_user_period SELECT project_id, grain, date_trunc('month', bucket) - interval"
                f" '14 months', {sums} FROM traces_user_period WHERE grain = %s",
                [grain],
            )
    everything = list_users(people.project.pk, utc, TraceFilter()).rows
    by_day = list_users(people.project.pk, utc, TraceFilter(), "-last_at").rows
    with connection.cursor() as cursor:
        found = read_user(cursor, people.project.pk, utc, "ada", None, now)

    assert {row.user_id: row.sums.requests for row in everything} == {"ada": 6, "bob": 2}
    assert {row.user_id: row.sums for row in everything} == {row.user_id: row.sums for row in by_day}
    assert found.is_by_month
    assert found.total.requests == 6
    assert found.total == sum((point.sums for point in found.points), UserSums())


def test_questions_do_not_grow_with_the_users(people, otlp):
    def questions(path):
        with CaptureQueriesContext(connection) as captured:
            read(people.bob, path)
        return len(captured.captured_queries)

    before = questions(PAGE), questions(PAGE + "ada/")
    otlp.send(*(otlp.span(hex_id(n), f"{n:016x}", attributes={"user.id": f"u{n}"}) for n in range(100, 140)))
    otlp.send(*(otlp.span(hex_id(n), f"{n:016x}", attributes={"user.id": "ada"}) for n in range(200, 240)))
    fold()

    assert (questions(PAGE), questions(PAGE + "ada/")) == before


def test_too_slow_is_said_and_not_a_500(people, monkeypatch):
    def slow(*args, **kwargs):
        raise TooSlow

    monkeypatch.setattr("traces.pages.user_list.list_users", slow)
    monkeypatch.setattr("traces.pages.user.read_user", slow)

    assert "This took too long" in read(people.bob, status=503)
    assert "This took too long" in read(people.bob, PAGE + "ada/", status=503)


@pytest.mark.parametrize("odd", ["a/b", "..", "ü ☃", "x" * 1024, "<b>"])
def test_any_user_id_has_an_address(shop, otlp, odd):
    rollup_memory.forget()
    otlp.send(otlp.span(hex_id(1), "1" * 16, attributes={"user.id": odd}))
    fold()
    (href,) = re.findall(r'class="rowlink clip2"[^>]* href="([^"]*)"', shop.bob.get(PAGE).content.decode())

    assert href == f"{PAGE}{write_id(odd)}/"
    assert shop.bob.get(href).status_code == 200
