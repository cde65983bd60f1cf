"""The pages that list and show sessions, through the browser's door."""

from __future__ import annotations

import csv
import io
import re
from datetime import datetime, timedelta
from html import unescape
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson
import pytest
from django.db import connection

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from tests.traces.session_rows import NOON, put_trace, refresh_all, remove_trace, trace_id
from traces.pages import columns as trace_columns
from traces.pages import export
from traces.pages.addresses import read_ids, write_id
from traces.read import Term, TraceFilter, list_traces
from traces.read import sessions as read_sessions
from traces.read.asking import TooSlow
from traces.write import sessions

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/sessions/"
ODD_IDS = (
    "plain-1", "a/b/../c", "..", ".", "~tilde", "with space", "ü ☃ 会话", "?x=1#y", "%2F", "a//b/", "line\nbreak",
    "x" * 1024, "ä" * 512, "<script>", "..%2f", "a\\b",
)  # fmt: skip


def hex_id(n):
    return f"{n:032x}"


def read(client, path=PAGE, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def titles(html):
    return re.findall(r'class="rowlink clip2"[^>]* href="[^"]*">([^<]*)</a>', html)


@pytest.fixture
def talk(shop, otlp):
    """A session of three turns (the last one failed), another of one, a trace without a session."""

    def turn(n, session, at_ms, said, answered, **more):
        attributes = {"session.id": session, "user.id": more.pop("user", "ada"), "telltale.feature": "returns"}
        otlp.send(
            otlp.generation(
                hex_id(n),
                f"{n:016x}",
                at_ms=at_ms,
                ms=1500,
                said=said,
                answered=answered,
                attributes=attributes,
                **more,
            )
        )

    turn(1, "s_1", 1000, "May I return a gift?", "Yes, within 60 days.")
    turn(2, "s_1", 5000, "Even opened?", "Opened ones too. " + "Really. " * 60)
    turn(3, "s_1", 9000, "Thanks", "You are welcome", status={"code": 2, "message": "late"})
    turn(4, "s_2", 3000, "Where is my order?", "On its way.", user="bob")
    otlp.send(otlp.span(hex_id(5), "5" * 16, name="nightly job"))
    refresh_all(shop.project.pk)
    return shop


def test_the_list_shows_first_question_and_last_answer_newest_first(talk):
    html = read(talk.bob)

    assert titles(html) == ["Where is my order?", "May I return a gift?"]
    assert "2 sessions started in the time range. Newest first." in html
    assert "You are welcome" in html
    assert "nightly job" not in html


def test_a_page_of_sessions_links_to_the_session_and_keeps_the_list(talk):
    html = read(talk.bob, PAGE + "?t=24h&user=ada")
    (href,) = re.findall(r'class="rowlink clip2"[^>]* href="([^"]*)"', html)

    page = read(talk.bob, href)

    assert href == "/p/shop/sessions/s_1/?t=24h&user=ada"
    assert 'href="/p/shop/sessions/?t=24h&user=ada">Sessions' in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("user=ada", ["May I return a gift?"]),
        ("user.not=ada", ["Where is my order?"]),
        ("feature=returns", ["Where is my order?", "May I return a gift?"]),
        ("feature.not=returns", []),
        ("model=gpt-4o-mini", ["Where is my order?", "May I return a gift?"]),
        ("status=error", ["May I return a gift?"]),
        ("status=ok", ["Where is my order?"]),
        ("turns.min=2", ["May I return a gift?"]),
        ("turns.max=2", ["Where is my order?"]),
        ("length_s.min=2", ["May I return a gift?"]),
        ("length_s.min=1.5&length_s.max=1.5", ["Where is my order?"]),
        ("cost.min=0.0005", ["May I return a gift?"]),
        ("environment.missing=yes", ["Where is my order?", "May I return a gift?"]),
        ("q=gift", ["May I return a gift?"]),
        ("q=WELCOME", ["May I return a gift?"]),
        ("q=s_2", ["Where is my order?"]),
        ("q=bob", ["Where is my order?"]),
        ("q=%25", []),
        ("sort=started_at", ["May I return a gift?", "Where is my order?"]),
        ("sort=-last_at", ["May I return a gift?", "Where is my order?"]),
        ("sort=-turns", ["May I return a gift?", "Where is my order?"]),
        ("sort=turns", ["Where is my order?", "May I return a gift?"]),
        ("sort=-cost", ["May I return a gift?", "Where is my order?"]),
        ("sort=-length", ["May I return a gift?", "Where is my order?"]),
        ("sort=-errors", ["May I return a gift?", "Where is my order?"]),
        ("sort=tokens", ["Where is my order?", "May I return a gift?"]),
    ],
)
def test_filters_sorts_and_search(talk, query, found):
    assert titles(read(talk.bob, f"{PAGE}?{query}")) == found


def test_a_filter_that_cannot_be_is_told_and_left_out(talk):
    html = read(talk.bob, PAGE + "?turns.min=many&sort=colour&status=odd&before=nonsense")

    assert "turns.min is no number" in html
    assert "sort is not accepted" in html
    assert "status is not accepted" in html
    assert "cursor is none that this list gave" in html
    assert len(titles(html)) == 2


def test_the_form_adds_a_filter_as_a_clean_address(talk):
    answer = talk.bob.get(PAGE + "?t=24h&field=turns&op=is&value=2")

    assert answer.status_code == 302
    assert answer.url == PAGE + "?t=24h&turns.min=2"


def test_zero_results_say_which_filter_to_drop(talk):
    html = read(talk.bob, PAGE + "?user=nobody&turns.min=1")

    assert "No session matches" in html
    assert "Drop User nobody" in html
    assert "Drop Turns" not in html


def test_a_search_leads_to_every_message_too(talk):
    found, nothing = read(talk.bob, PAGE + "?t=24h&q=gift"), read(talk.bob, PAGE + "?q=zebra")

    assert 'href="/p/shop/traces/?t=24h&q=gift"' in found
    assert 'href="/p/shop/traces/?q=zebra"' in nothing
    assert "/p/shop/traces/?" not in read(talk.bob).split("<main")[1]


def test_an_id_is_found_whatever_the_window(talk):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_session SET first_started_at = first_started_at - interval '60 days'")

    html = read(talk.bob, PAGE + "?t=1h&q=s_1")

    assert titles(html) == ["May I return a gift?"]
    assert "Found by id, whatever the time range." in html


def test_without_sessions_the_page_says_how_to_send_one(shop, otlp):
    otlp.send(otlp.span(hex_id(1), "1" * 16))

    assert "No trace names a session" in read(shop.bob)


def test_pages_follow_each_other_without_gap_or_repeat(shop):
    project = shop.project.pk
    start = (clock.now() - NOON).total_seconds() - 50_000
    for n in range(130):
        put_trace(project, n, f"s{n:03}", at=start + n // 3 * 10, preview_in=f"q{n:03}", cost_pico=n // 7)
    refresh_all(project)

    for sort in ("-started_at", "cost", "-length", "-last_at"):
        seen, path = [], f"{PAGE}?sort={sort}"
        while path:
            html = read(shop.bob, path)
            seen += titles(html)
            older = re.search(r'rel="next" href="([^"]*)">Older', html)
            path = PAGE + older[1] if older else ""
        assert len(seen) == len(set(seen)) == 130
        newer = re.search(r'rel="prev" href="([^"]*)">Newer', html)
        back = read(shop.bob, PAGE + newer[1])
        assert titles(back) == seen[50:100]
        assert "51–100 of 130" in back


def test_the_list_is_a_file_too_and_streams(talk):
    as_csv = talk.bob.get(PAGE + "?format=csv&sort=-turns")
    lines = list(csv.DictReader(io.StringIO(b"".join(as_csv.streaming_content).decode())))
    as_lines = talk.bob.get(PAGE + "?format=ndjson&status=error")
    records = [orjson.loads(line) for line in b"".join(as_lines.streaming_content).splitlines()]

    assert as_csv["Content-Disposition"] == 'attachment; filename="shop-sessions.csv"'
    assert [(line["session_id"], line["turns"]) for line in lines] == [("s_1", "3"), ("s_2", "1")]
    assert [record["session_id"] for record in records] == ["s_1"]
    assert records[0]["cost_usd"] == "0.00063"
    assert records[0]["environment"] is None


@pytest.mark.parametrize("path", [PAGE, "/p/shop/users/"])
def test_no_more_files_at_once_than_there_is_room_for(talk, path):
    for _ in range(export.AT_A_TIME):
        assert export._slots.acquire(blocking=False)
    try:
        refused = talk.bob.get(path + "?format=csv")
    finally:
        for _ in range(export.AT_A_TIME):
            export._slots.release()

    assert (refused.status_code, refused["Retry-After"]) == (503, "10")
    assert talk.bob.get(path + "?format=csv").status_code == 200


def test_a_session_reads_as_a_conversation(talk):
    html = read(talk.bob, PAGE + "s_1/")
    said = re.findall(r'<p dir="auto" class="said[^"]*"(?: tabindex="0")?>([^<]*)', html)

    assert "“May I return a gift?”" in html
    assert said == [
        "May I return a gift?", "Yes, within 60 days.", "Even opened?", "Opened ones too. " + ("Really. " * 60),
        "Thanks", "You are welcome",
    ]  # fmt: skip
    assert re.findall(r'href="/p/shop/traces/(\w{32})/">Open trace', html) == [hex_id(n) for n in (1, 2, 3)]
    assert "Failed" in html
    assert 'href="/p/shop/users/ada/"' in html
    assert "1.50 s, $0.0002, gpt-4o-mini" in html
    assert "3 turns" in html


def test_the_head_sums_what_the_traces_say(talk):
    html = read(talk.bob, PAGE + "s_1/")
    stats = dict(re.findall(r'<dt>([^<]*)</dt><dd class="v">(?:<a[^>]*>)?([^<]*)', html))

    assert stats["Turns"] == "3"
    assert stats["Cost"] == "$0.0006"
    assert stats["Length"] == "9.5 s"
    assert stats["Slowest turn"] == "1.50 s"
    assert stats["Turns with errors"] == "1"
    assert stats["Tokens"] == "3,000 in, 300 out"
    assert "median" not in html  # of two sessions none says what is usual


def test_medians_come_with_their_n(talk):
    start = (clock.now() - NOON).total_seconds() - 5000
    for n in range(100, 105):
        put_trace(talk.project.pk, n, f"m{n}", at=start, cost_pico=10**12, priced_count=1)
    refresh_all(talk.project.pk)

    html = read(talk.bob, PAGE + "s_1/")

    assert "median 1<" in html
    assert "median $1.00" in html
    assert "Medians of all 7 sessions of the project" in html


def test_before_the_fold_a_session_is_there_already(talk, otlp):
    otlp.send(otlp.generation(hex_id(9), "9" * 16, said="New?", attributes={"session.id": "brand new"}))

    html = read(talk.bob, f"{PAGE}{write_id('brand new')}/")

    assert "“New?”" in html
    assert "1 turn<" in html


def test_what_is_not_there_and_what_is_not_yours_are_one_answer(talk):
    assert talk.bob.get(PAGE + "s_9/").status_code == 404
    assert talk.charlie.get(PAGE + "s_1/").status_code == 404
    assert talk.charlie.get("/p/elsewhere/sessions/s_1/").status_code == 404
    assert talk.nobody.get(PAGE + "s_1/").status_code == 302
    assert talk.bob.get(PAGE + "x" * 3000 + "/").status_code == 404


@pytest.mark.parametrize("odd", ODD_IDS)
def test_any_id_leads_from_the_list_to_its_session(shop, odd):
    put_trace(shop.project.pk, 1, odd, at=(clock.now() - NOON).total_seconds() - 60, preview_in="hello", user_id=odd)
    refresh_all(shop.project.pk)
    (href,) = re.findall(r'class="rowlink clip2"[^>]* href="([^"]*)"', shop.bob.get(PAGE).content.decode())

    answer = shop.bob.get(unescape(href))

    assert answer.status_code == 200
    assert "“hello”" in answer.content.decode()
    assert read_ids(write_id(odd))[0] == odd
    assert not set(write_id(odd)) & set("/%?#\\ \n")
    assert shop.bob.get(f"/p/shop/users/{write_id(odd)}/").status_code == 200
    listed = shop.bob.get(PAGE, {"session": odd, "q": odd[:300]})
    assert listed.status_code == 200


def test_an_id_typed_as_it_is_leads_to_its_one_address(talk, otlp):
    otlp.send(otlp.generation(hex_id(9), "9" * 16, attributes={"session.id": "a/b c"}))

    answer = talk.bob.get(PAGE + quote("a/b c", safe="/") + "/?t=28d")

    assert answer.status_code == 302
    assert answer.url == f"{PAGE}{write_id('a/b c')}/?t=28d"


def test_neighbours_follow_the_filters_of_the_list(shop):
    project = shop.project.pk
    start = (clock.now() - NOON).total_seconds() - 5000
    for n in range(6):
        put_trace(project, n, f"s{n}", at=start + n, user_id="ada" if n % 2 else "bob")
    refresh_all(project)

    html = read(shop.bob, PAGE + "s3/?user=ada")
    last = read(shop.bob, PAGE + "s1/?user=ada")

    assert 'rel="prev" href="/p/shop/sessions/s5/?user=ada"' in html
    assert 'rel="next" href="/p/shop/sessions/s1/?user=ada"' in html
    assert 'rel="next"' not in last


@pytest.fixture
def long(shop):
    """A session of 520 turns, some of them begun at one moment."""
    start = (clock.now() - NOON).total_seconds() - 50_000
    for n in range(520):
        put_trace(shop.project.pk, n, "long", at=start + n // 2, preview_in=f"q{n:04}", preview_out=f"a{n:04}")
    refresh_all(shop.project.pk)
    return shop


def questions(html):
    return re.findall(r"q\d{4}", html.split('id="said"')[1])


def test_500_turns_page_in_order(long):
    seen, path, pages = [], PAGE + "long/", 0
    while path:
        html = read(long.bob, path)
        seen += questions(html)
        pages += 1
        later = re.search(r'rel="next" href="([^"]*)#said">Later', html)
        path = f"{PAGE}long/{later[1]}" if later else ""

    assert pages == 11
    assert seen == [f"q{n:04}" for n in range(520)]
    assert "Turns 501–520 of 520" in html
    earlier = re.search(r'rel="prev" href="([^"]*)#said">Earlier', html)
    assert questions(read(long.bob, f"{PAGE}long/{earlier[1]}")) == [f"q{n:04}" for n in range(450, 500)]


def test_the_last_turns_and_those_of_one_trace_are_one_step_away(long):
    last = read(long.bob, PAGE + "long/?last=1")
    one = read(long.bob, f"{PAGE}long/?trace={trace_id(101).hex}")
    first = read(long.bob, f"{PAGE}long/?trace={trace_id(0).hex}")
    none = read(long.bob, f"{PAGE}long/?trace={'f' * 32}")

    assert questions(last)[-1] == "q0519"
    assert questions(one)[:2] == ["q0101", "q0102"]
    assert "Turns 102–151 of 520" in one
    assert questions(first)[0] == questions(none)[0] == "q0000"


def test_a_trace_leads_to_its_turn_and_to_its_user(talk):
    html = read(talk.bob, f"/p/shop/traces/{hex_id(2)}/")
    (href,) = re.findall(r'href="(/p/shop/sessions/s_1/[^"]*)"', html)

    page = read(talk.bob, href)

    assert 'href="/p/shop/users/ada/"' in html
    assert href.endswith(f"?trace={hex_id(2)}#t-00000000")
    assert f'id="{href.split("#")[1]}"' in page
    assert "3 turns<" in page


def test_a_list_of_traces_links_users_and_sessions(talk):
    newest = list_traces(talk.project.pk, TraceFilter(terms=(Term("user", "is", ("bob",)),))).rows
    on = trace_columns.Page("/p/shop/traces/", "", ZoneInfo("UTC"), clock.now())

    (html,) = trace_columns.rows_html(newest, trace_columns.chosen(("user", "session")), on)

    assert 'href="/p/shop/users/bob/"' in html
    assert 'href="/p/shop/sessions/s_2/"' in html


def test_a_bad_place_in_a_session_is_told(long):
    html = read(long.bob, PAGE + "long/?after=xx")

    assert "cursor is none that this list gave" in html
    assert questions(html)[0] == "q0000"


def test_a_long_session_says_how_old_its_figures_are(long):
    put_trace(long.project.pk, 999, "long", at=(clock.now() - NOON).total_seconds())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_session SET stale_since = now() WHERE session_id = 'long'")
    stale = read(long.bob, PAGE + "long/")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_session")
    unsummed = read(long.bob, PAGE + "long/")

    assert "Figures of" in stale
    assert "Still being summed" in unsummed


def test_a_session_that_retention_took_says_so(shop):
    project = shop.project.pk
    put_trace(project, 1, "old", preview_in="secret words", user_id="ada")
    refresh_all(project)
    remove_trace(project, 1)
    with raw_cursor() as cursor:
        sessions.refresh_removed(cursor, project, ["old"])

    html = read(shop.bob, PAGE + "old/")

    assert "The traces of this session are gone" in html
    assert "It had 1 turn" in html
    assert "90 days" in html
    assert "secret words" not in html
    assert "old" not in titles(read(shop.bob, PAGE + "?t=all"))


def test_a_session_of_several_users_says_so(shop):
    project = shop.project.pk
    for n, user in enumerate(("ada", "bob", "ada", "eve/1")):
        put_trace(project, n, "default", at=n, user_id=user, preview_in=f"q{n}")
    refresh_all(project)

    html = read(shop.bob, PAGE + "default/")

    assert "3 users share this session id" in html
    assert f'href="/p/shop/users/{write_id("eve/1")}/"' in html
    assert html.count("User ada") == 2
    assert "and 2 more" in read(shop.bob, PAGE + "?t=all")


def test_unpriced_is_never_zero(shop):
    start = (clock.now() - NOON).total_seconds() - 60
    put_trace(shop.project.pk, 1, "free", at=start, unpriced_count=2, usage_count=1, generation_count=2, input_fresh=5)
    put_trace(shop.project.pk, 2, "part", at=start, unpriced_count=1, priced_count=1, cost_pico=10**12)
    refresh_all(shop.project.pk)

    listed = read(shop.bob)
    page = read(shop.bob, PAGE + "free/")

    assert "unpriced" in listed
    assert "at least" in listed
    assert "$0.0" not in listed + page
    assert "2 spans unpriced" in page


def test_lists_ask_the_same_number_of_questions_at_any_length(talk, django_assert_num_queries):
    with django_assert_num_queries(questions_of(talk, PAGE)):
        talk.bob.get(PAGE)
    start = (clock.now() - NOON).total_seconds() - 5000
    for n in range(100, 160):
        put_trace(talk.project.pk, n, f"m{n}", at=start)
    refresh_all(talk.project.pk)
    few = questions_of(talk, PAGE + "s_2/")
    many = questions_of(talk, PAGE + "s_1/")

    assert few == many
    assert questions_of(talk, PAGE) <= 14


def questions_of(talk, path):
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        assert talk.bob.get(path).status_code == 200
    return len(captured.captured_queries)


def test_lists_never_read_bodies(talk):
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        talk.bob.get(PAGE)
        b"".join(talk.bob.get(PAGE + "?format=csv").streaming_content)

    assert not [query for query in captured.captured_queries if "payload" in query["sql"]]


def test_a_page_opens_no_more_bodies_than_turns(talk, monkeypatch):
    from traces.read import turns

    opened = []
    real = turns.unpack
    monkeypatch.setattr(turns, "unpack", lambda data, most: opened.append(most) or real(data, most))

    read(talk.bob, PAGE + "s_1/")

    assert len(opened) == 3


def test_texts_beyond_the_budget_are_shown_in_short(talk, monkeypatch):
    from traces.read import turns

    monkeypatch.setattr(turns, "BODIES_MAX_BYTES", 100)

    html = read(talk.bob, PAGE + "s_1/")

    assert html.count("Shown in short; the trace has what is stored of it.") == 3
    assert "Really. Really." in html
    assert "…" in html


def test_too_slow_is_said_and_not_a_500(talk, monkeypatch):
    def slow(*args, **kwargs):
        raise TooSlow

    monkeypatch.setattr("traces.pages.session_list.page_of_sessions", slow)
    monkeypatch.setattr("traces.pages.session.list_turns", slow)

    assert "This took too long" in read(talk.bob, status=503)
    assert "This took too long" in read(talk.bob, PAGE + "s_1/", status=503)


def test_a_session_reads_without_medians_where_these_take_too_long(talk, monkeypatch):
    def slow(*args, **kwargs):
        raise TooSlow

    monkeypatch.setattr("traces.pages.session.read_medians", slow)

    assert "“May I return a gift?”" in read(talk.bob, PAGE + "s_1/")


def test_counts_beyond_the_limit_are_about_until_the_last_page(shop, monkeypatch):
    start = (clock.now() - NOON).total_seconds() - 5000
    for n in range(70):
        put_trace(shop.project.pk, n, f"m{n}", at=start + n)
    refresh_all(shop.project.pk)
    monkeypatch.setattr(read_sessions, "COUNT_MAX", 20)

    html = read(shop.bob)
    last = read(shop.bob, PAGE + re.search(r'rel="next" href="([^"]*)">Older', html)[1])

    (about,) = re.findall(r"About ([\d,]+) sessions started in the time range", html)
    assert int(about.replace(",", "")) > 50
    assert "70 sessions started in the time range" in last


def test_times_are_in_the_projects_zone(talk):
    talk.project.time_zone = "Asia/Kathmandu"
    talk.project.save()

    html = read(talk.bob, PAGE + "s_1/")
    (began,) = re.findall(r"(\d\d:\d\d:\d\d) to ", html)
    (turn, *_) = re.findall(r'<time class="mut" datetime="([^"]*)">(\d\d:\d\d:\d\d)</time>', html)

    assert turn[1] == began
    assert f"{datetime.fromisoformat(turn[0]) + timedelta(hours=5, minutes=45):%H:%M:%S}" == began
    assert "+0545" in html
