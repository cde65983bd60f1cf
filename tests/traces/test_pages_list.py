"""The page that lists traces, through the browser's door."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import orjson
import pytest
from django.http import QueryDict

from traces.forms import read_list
from traces.read import facets as facets_module
from traces.read.asking import TooSlow

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/traces/"
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def hex_id(n):
    return f"{n:032x}"


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def titles(html):
    return re.findall(r'class="rowlink clip2"[^>]* href="[^"]*">([^<]*)</a>', html)


@pytest.fixture
def some(shop, otlp):
    """Three traces: asked, failed, and one without any text."""
    otlp.send(
        otlp.generation(
            hex_id(1),
            "a" * 16,
            at_ms=1000,
            said="What is a telltale?",
            answered="A ribbon.",
            attributes={"telltale.feature": "help", "user.id": "ada"},
        )
    )
    otlp.send(
        otlp.generation(
            hex_id(2),
            "b" * 16,
            at_ms=2000,
            said="Why?",
            attributes={
                "gen_ai.request.model": "home-grown",
                "gen_ai.response.model": "home-grown",
                "gen_ai.provider.name": "me",
                "error.type": "Timeout",
            },
            status={"code": 2},
        )
    )
    otlp.send(otlp.span(hex_id(3), "c" * 16, name="nightly job", at_ms=3000))
    return shop


def test_the_list_shows_what_was_asked_and_answered_newest_first(some):
    html = read(some.bob)

    assert titles(html) == ["nightly job", "Why?", "What is a telltale?"]
    assert "3 traces match." in html
    assert "A ribbon." in html
    assert "no text captured" in html


def test_unpriced_is_never_zero(some):
    html = read(some.bob, PAGE + "?cost_status=unpriced")

    assert titles(html) == ["Why?"]
    assert "unpriced" in html
    assert "$0<" not in html


@pytest.mark.parametrize("path", [PAGE, PAGE + "?format=csv", PAGE + hex_id(1) + "/", PAGE + hex_id(9) + "/"])
def test_strangers_find_nothing_there(some, path):
    assert some.charlie.get(path).status_code == 404
    assert some.nobody.get(path).status_code == 302


def test_not_yours_and_not_there_look_the_same(some):
    theirs = some.charlie.get(PAGE + hex_id(1) + "/")
    nowhere = some.charlie.get("/p/nowhere/traces/" + hex_id(1) + "/")
    mine = some.bob.get(PAGE + hex_id(9) + "/")

    clean = [re.sub(rb"[0-9a-f]{4}-[0-9a-f]{4}|csrf\S+|\?v=\w+", b"", answer.content) for answer in (theirs, nowhere)]
    assert clean[0] == clean[1]
    assert mine.status_code == 404


def test_filters_are_chips_that_can_go(some):
    html = read(some.bob, PAGE + "?feature=help&user.not=bob&sort=-cost&t=28d")

    assert titles(html) == ["What is a telltale?"]
    assert 'href="?t=28d&user.not=bob&sort=-cost" aria-label="Remove filter Feature help"' in html
    assert "Clear all" in html
    assert 'aria-sort="descending"><a href="?t=28d&feature=help&user.not=bob&sort=cost">Cost</a>' in html


def test_rows_carry_the_list_along(some):
    html = read(some.bob, PAGE + "?feature=help&t=28d")

    assert f'href="{PAGE}{hex_id(1)}/?t=28d&feature=help"' in html


def test_the_filter_form_answers_with_the_clean_address(some):
    answer = some.bob.get(PAGE + "?t=28d&field=cost&op=min&value=0.0001&q=")
    assert (answer.status_code, answer["Location"]) == (302, PAGE + "?t=28d&cost.min=0.0001")

    again = some.bob.get(PAGE + "?feature=a&field=feature&op=is&value=b")
    assert again["Location"] == PAGE + "?feature=a&feature=b"

    missing = some.bob.get(PAGE + "?field=user&op=missing&value=")
    assert missing["Location"] == PAGE + "?user.missing=yes"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("cost.min=dear", "cost.min is no number"),
        ("t=9y", "t is no time range"),
        ("sort=beauty", "sort is not accepted"),
        ("from=soon", "from and `to` must be times"),
        ("from=2026-01-02&to=2026-01-01", "in order"),
        ("before=xyz", "cursor is none that this list gave"),
        ("status=sad", "status is not accepted"),
        ("field=cost&op=min&value=", "cost needs a value"),
        ("q=%00", "q holds characters"),
    ],
)
def test_what_is_not_understood_is_said_and_left_out(some, query, words):
    html = read(some.bob, PAGE + "?" + query)

    assert words in html
    assert len(titles(html)) == 3


def test_nothing_found_names_the_filter_that_could_go(some):
    html = read(some.bob, PAGE + "?feature=help&user=nobody&t=28d")

    assert titles(html) == []
    assert re.search(r'href="\?t=28d&feature=help">Drop User nobody</a><span class="mut">1 trace<', html)
    assert "Drop Feature help" not in html


def test_nothing_in_the_window_offers_all_time(shop, otlp):
    otlp.start_ns -= 20 * 86_400 * 10**9
    otlp.send(otlp.span(hex_id(1), "a" * 16))

    html = read(shop.bob)

    assert 'href="?t=all">Drop the time range</a>' in html


def test_a_project_without_spans_leads_to_the_first_one(shop):
    html = read(shop.bob)

    assert "No traces yet" in html
    assert "/p/shop/welcome/" in html


def test_pages_lead_to_their_neighbours(shop, otlp):
    otlp.send(*(otlp.span(hex_id(n), f"{n:016x}", name=f"t{n:03}", at_ms=n) for n in range(1, 121)))

    first = read(shop.bob)
    older = re.search(r'rel="next" href="(\?before=[^"]+)"', first)[1]
    second = read(shop.bob, PAGE + older)
    newer = re.search(r'rel="prev" href="(\?after=[^"]+)"', second)[1]

    assert titles(first)[0] == "t120"
    assert "1–50 of 120" in first
    assert "51–100 of 120" in second
    assert titles(second)[0] == "t070"
    assert titles(read(shop.bob, PAGE + newer)) == titles(first)


@pytest.mark.parametrize("n", [1, 40])
def test_the_number_of_queries_does_not_grow_with_the_rows(shop, otlp, django_assert_num_queries, n):
    otlp.send(*(otlp.generation(hex_id(k), f"{k:016x}", at_ms=k) for k in range(1, n + 1)))
    shop.bob.get(PAGE)

    # session, user, project; views; savepoint, time limit, rows, facets, release; projects of the switcher, what waits
    with django_assert_num_queries(11):
        assert shop.bob.get(PAGE).status_code == 200


def test_too_slow_is_a_designed_answer(some, monkeypatch):
    def slow(*_):
        raise TooSlow

    monkeypatch.setattr(facets_module, "page_of_traces", slow)

    html = read(some.bob, PAGE + "?q=anything", status=503)

    assert "This took too long" in html
    assert 'href="?t=1h&q=anything"' in html


def test_an_error_is_named_by_its_class_without_the_module(shop, otlp):
    otlp.send(otlp.span(hex_id(1), "a" * 16, status={"code": 2}, attributes={"error.type": "ai.exceptions.ModelError"}))

    html = read(shop.bob)

    assert '<span class="tiny up cut">ModelError</span>' in html


def test_an_id_finds_its_trace_outside_of_the_window(shop, otlp):
    otlp.start_ns -= 20 * 86_400 * 10**9
    otlp.send(otlp.span(hex_id(7), "a" * 16, name="long ago"))

    html = read(shop.bob, PAGE + "?q=" + hex_id(7))

    assert titles(html) == ["long ago"]
    assert "Found by id" in html


@pytest.mark.parametrize(
    ("beginning", "found"), [("fb7c514f", 1), ("FB7C514F-94b6", 1), ("fb7c514", 0), ("fb7c514e", 0)]
)
def test_the_short_id_that_pages_show_finds_its_trace(shop, otlp, beginning, found):
    otlp.start_ns -= 20 * 86_400 * 10**9
    otlp.send(otlp.span("fb7c514f94b6846891bd5bf88ff881aa", "a" * 16, name="long ago"))

    html = read(shop.bob, PAGE + "?q=" + beginning)

    assert titles(html) == ["long ago"] * found


def test_csv_has_every_row_and_no_formula(shop, otlp):
    otlp.send(
        otlp.generation(hex_id(1), "a" * 16, said="=HYPERLINK(1)", answered="-2+3", attributes={"user.id": "@me"})
    )
    answer = shop.bob.get(PAGE + "?format=csv")

    rows = list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))

    assert answer["Content-Disposition"] == 'attachment; filename="shop-traces.csv"'
    assert (rows[0]["preview_in"], rows[0]["preview_out"], rows[0]["user_id"]) == ("'=HYPERLINK(1)", "'-2+3", "'@me")
    assert rows[0]["trace_id"] == hex_id(1)
    assert rows[0]["input_fresh"] == "1000"
    assert float(rows[0]["cost_usd"]) > 0


def test_ndjson_keeps_unknown_as_null(some):
    answer = some.bob.get(PAGE + "?format=ndjson&sort=started_at")

    rows = [orjson.loads(line) for line in b"".join(answer.streaming_content).splitlines()]

    assert [row["trace_id"] for row in rows] == [hex_id(1), hex_id(2), hex_id(3)]
    assert (rows[1]["cost_usd"], rows[1]["cost_state"]) == (None, "unpriced")
    assert (rows[2]["input_fresh"], rows[2]["cost_state"]) == (None, "none")


def test_post_is_not_a_way_to_read(some):
    assert some.bob.post(PAGE).status_code == 405


@pytest.mark.parametrize(
    ("query", "start", "end"),
    [
        ("t=1h", timedelta(hours=1), None),
        ("t=all", None, None),
        ("from=2026-11-01+10:00&to=2026-11-02", NOVEMBER + timedelta(hours=9), NOVEMBER + timedelta(hours=23)),
        ("from=2026-11-01T10:00:00Z", datetime(2026, 11, 1, 10, tzinfo=UTC), None),
    ],
)
def test_times_are_read_in_the_projects_zone(query, start, end):
    now = datetime(2026, 11, 19, 12, tzinfo=UTC)
    state = read_list(QueryDict(query), ZoneInfo("Europe/Stockholm"), now)

    assert state.wanted.start == (now - start if isinstance(start, timedelta) else start)
    if end:
        assert state.wanted.end == end
    assert state.errors == ()
