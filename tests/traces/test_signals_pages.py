"""The list of all signals, and signals on the pages of traces, sessions and users, through the browser's door."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from html import unescape
from pathlib import Path

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.traces.session_rows import NOON, put_trace, refresh_all, trace_id
from tests.traces.signal_rows import put_behaviour, put_signal
from traces.behaviour.types import Fact, Stratum
from traces.folding import fold_roll_ups
from traces.read import TooSlow, signal_list
from traces.read.filters import ops_of
from traces.read.signal_list import SIGNAL_FIELDS
from traces.signals.kinds import Kind, Source, Target
from traces.write import rollup_memory

pytestmark = pytest.mark.django_db
ALL = "/p/shop/signals/all/"
EVERYTHING = [
    "toxicity 0.25", "Thumb up", "Rating 2", "Conversion 129.5", "Corrected", "Thumb down",
]  # fmt: skip
EVIL = "<script>alert(1)</script>\u202e{{ 7*7 }}"


def read(client, path, status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.content[:500]
    return answer.content.decode()


def whats(html):
    """What the rows of the list say that somebody did, in order."""
    found = re.findall(r'<td class="clip">.*?<span class="badge [a-z]*">([^<]*)</span>', html)
    return [unescape(words) for words in found]


@pytest.fixture
def told(shop):
    """Signals of every sort about two sessions of three traces."""
    project = shop.project.pk
    put_trace(project, 1, "s_1", at=0, user_id="ada", feature="returns", preview_in="May I return a gift?")
    put_trace(project, 2, "s_1", at=60, user_id="ada", feature="returns", preview_in="Even opened?")
    put_trace(project, 3, "s_2", at=30, user_id="bob", feature="orders", preview_in="Where is it?")
    refresh_all(project)
    put_signal(project, Kind.THUMB, trace=trace_id(2), at=70, vote=-1, value_bool=True, name="thumbs_down",
               comment="The page says unopened only.", author="ada", feature="returns", of="s_1")  # fmt: skip
    put_signal(project, Kind.CORRECTION, trace=trace_id(2), at=80, value_text="Only if faulty.", author="ada", of="s_1")
    put_signal(project, Kind.CONVERSION, session="s_2", at=90, value_number=129.5, author="bob", feature="orders")
    put_signal(project, Kind.RATING, session="s_1", at=100, value_number=2.0)
    put_signal(project, Kind.THUMB, trace=trace_id(99), at=110, vote=1, bound=False, name="like")
    put_signal(project, Kind.OUTSIDE, trace=trace_id(1), at=120, value_number=0.25, source=Source.MODEL,
               name="toxicity", of="s_1")  # fmt: skip
    put_signal(shop.elsewhere.pk, Kind.TEXT, trace=trace_id(1), at=130, value_text="secret of elsewhere", author="ada")
    return shop


def test_the_list_shows_what_users_did_newest_first(told):
    html = read(told.bob, ALL + "?t=all")

    assert whats(html) == EVERYTHING
    assert "6 signals in the time range" in html
    assert "The page says unopened only." in html
    assert "not here yet" in html
    assert f'href="/p/shop/traces/{trace_id(2).hex}/#signals"' in html
    assert 'href="/p/shop/sessions/s_2/"' in html
    assert 'href="/p/shop/users/ada/"' in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=thumb.down", ["Thumb down"]),
        ("kind=thumb", ["Thumb up", "Thumb down"]),
        ("kind=correction&kind=thumb.up", ["Thumb up", "Corrected"]),
        ("kind.not=thumb&kind.not=outside", ["Rating 2", "Conversion 129.5", "Corrected"]),
        ("vote=up", ["Thumb up"]),
        ("vote=none&source=end_user", ["Rating 2", "Conversion 129.5", "Corrected"]),
        ("name=like", ["Thumb up"]),
        ("source=model", ["toxicity 0.25"]),
        ("target=session", ["Rating 2", "Conversion 129.5"]),
        ("bound=no", ["Thumb up"]),
        ("bound=yes&vote=up", []),
        ("feature=orders", ["Conversion 129.5"]),
        ("feature.missing=yes&source=end_user", ["Thumb up", "Rating 2", "Corrected"]),
        ("author=ada", ["Corrected", "Thumb down"]),
        ("session=s_1", ["Rating 2"]),
        ("session=s_1&session=s_2", ["Rating 2", "Conversion 129.5"]),
        (f"trace={trace_id(2)}", ["Corrected", "Thumb down"]),
        ("comment=yes", ["Corrected", "Thumb down"]),
        ("value.min=2&value.max=129.5", ["Rating 2", "Conversion 129.5"]),
        ("q=UNOPENED", ["Thumb down"]),
        ("q=s_2", ["Conversion 129.5"]),
        ("q=%25", []),
        ("sort=happened_at&author=ada", ["Thumb down", "Corrected"]),
    ],
)
def test_filters_find_what_they_say(told, query, found):
    assert whats(read(told.bob, f"{ALL}?t=all&{query}")) == found


def test_a_window_is_half_open_and_by_when_it_happened(told):
    start, end = NOON + timedelta(seconds=80), NOON + timedelta(seconds=100)

    html = read(told.bob, f"{ALL}?from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}")

    assert whats(html) == ["Conversion 129.5", "Corrected"]


def test_filters_are_chips_that_can_be_taken_away(told):
    html = read(told.bob, ALL + "?t=all&kind=thumb.down&author=ada")

    assert 'aria-label="Remove filter What thumb down"' in html
    assert 'href="?t=all&amp;author=ada"' in html
    assert told.bob.get(ALL + "?t=all&field=kind&op=is&value=rating").url == f"{ALL}?t=all&kind=rating"


def test_what_a_filter_cannot_be_is_told_and_left_out(told):
    html = unescape(read(told.bob, ALL + "?t=all&kind=odd&trace=xyz&sort=name&value.min=x&before=nonsense&q=%00"))

    for words in ("kind is not accepted", "trace is no id of a trace", "sort is not accepted", "value.min is no number",
                  "cursor is none that this list gave", "q holds characters"):  # fmt: skip
        assert words in html
    assert len(whats(html)) == 6


def test_pages_follow_each_other_without_gap_or_repeat(shop):
    for n in range(130):
        put_signal(shop.project.pk, Kind.TEXT, session=f"s{n}", at=n // 4, value_text=f"w{n:03}")
    pages, path = [], ALL + "?t=all"
    while path:
        html = read(shop.bob, path)
        pages.append(re.findall(r">(w\d{3})<", html))
        older = re.search(r'rel="next" href="([^"]*)">Older', html)
        path = ALL + unescape(older[1]) if older else ""

    assert [len(page) for page in pages] == [50, 50, 30]
    assert [word for page in pages for word in page] == [f"w{n:03}" for n in reversed(range(130))]
    newer = re.search(r'rel="prev" href="([^"]*)">Newer', html)
    back = read(shop.bob, ALL + unescape(newer[1]))
    assert re.findall(r">(w\d{3})<", back) == pages[1]
    assert "51–100 of 130" in back


def test_the_list_is_a_file_too(told):
    as_csv = told.bob.get(ALL + "?t=all&format=csv&sort=happened_at")
    lines = list(csv.DictReader(io.StringIO(b"".join(as_csv.streaming_content).decode())))
    as_lines = told.bob.get(ALL + "?t=all&format=ndjson&kind=conversion")
    records = [orjson.loads(line) for line in b"".join(as_lines.streaming_content).splitlines()]

    assert as_csv["Content-Disposition"] == 'attachment; filename="shop-signals.csv"'
    assert [line["name"] for line in lines] == ["thumbs_down", "correction", "conversion", "rating", "like", "toxicity"]
    assert lines[0]["vote"] == "down"
    assert lines[0]["trace_id"] == trace_id(2).hex
    assert lines[4]["bound_at"] == ""
    (record,) = records
    assert (record["value"], record["session_id"], record["comment"]) == (129.5, "s_2", None)


def test_the_pages_file_is_the_one_that_rest_gives(told):
    odd = {"value_bool": False, "name": "=1+1", "metadata": {"a": [1]}}
    put_signal(told.project.pk, Kind.OTHER, trace=trace_id(1), at=140, **odd)

    for kind in ("csv", "ndjson"):
        page = told.bob.get(f"{ALL}?t=all&format={kind}")
        rest = told.nobody.get(f"/api/v1/signals?format={kind}", headers=told.key("read"))
        assert b"".join(page.streaming_content) == b"".join(rest.streaming_content)


def test_nobody_sees_another_projects_signals(told):
    assert "secret of elsewhere" not in read(told.bob, ALL + "?t=all")
    assert "secret of elsewhere" not in read(told.bob, f"/p/shop/traces/{trace_id(1).hex}/")
    assert "secret of elsewhere" not in read(told.bob, f"{ALL}?t=all&trace={trace_id(1)}")
    assert told.charlie.get(ALL).status_code == 404
    assert whats(read(told.charlie, "/p/elsewhere/signals/all/?t=all")) == ["Said"]


def test_without_signals_the_page_says_how_to_send_one(shop):
    html = read(shop.bob, ALL)

    assert "No signals yet" in html
    assert "/api/v1/signals" in html


def test_zero_results_say_which_filter_to_drop(told):
    html = unescape(read(told.bob, ALL + "?t=all&author=nobody&kind=rating"))

    assert "No signal matches" in html
    assert "Drop User nobody" in html


def test_a_question_that_takes_too_long_is_told(told, monkeypatch):
    def slow(*arguments):
        raise TooSlow

    monkeypatch.setattr(signal_list, "page_of_signals", slow)

    assert "This took too long" in read(told.bob, ALL, status=503)


def questions(client, path):
    with CaptureQueriesContext(connection) as captured:
        assert client.get(path).status_code == 200
    return len(captured)


def test_pages_ask_the_same_number_of_questions_whatever_was_told(told):
    paths = (ALL + "?t=all", f"/p/shop/traces/{trace_id(2).hex}/", "/p/shop/sessions/s_1/",
             "/p/shop/traces/?t=all&columns=said,signals", "/p/shop/sessions/?t=all")  # fmt: skip
    for n in range(60):
        put_signal(told.project.pk, Kind.COPIED, session="s_2", at=150 + n)
    for path in paths:
        read(told.bob, path)
    few = [questions(told.bob, path) for path in paths]
    for n in range(60):
        put_signal(told.project.pk, Kind.TEXT, trace=trace_id(2), at=200 + n, value_text=f"w{n}", author="ada")
        put_signal(told.project.pk, Kind.RATING, session="s_1", at=300 + n, value_number=3.0)

    assert [questions(told.bob, path) for path in paths] == few


def test_what_senders_told_is_text_and_nothing_else(shop):
    project = shop.project.pk
    put_trace(project, 1, EVIL, user_id=EVIL)
    refresh_all(project)
    put_signal(project, Kind.OTHER, trace=trace_id(1), name=EVIL[:60], value_label=EVIL, comment=EVIL, author=EVIL)
    put_signal(project, Kind.TEXT, session=EVIL, value_text=EVIL, metadata={"a": EVIL}, feature=EVIL)
    sessions = read(shop.bob, "/p/shop/sessions/?t=all")
    (session,) = re.findall(r'rowlink clip2"[^>]* href="(/p/shop/sessions/[^"?]*)', sessions)
    listed = "/p/shop/traces/?t=all&columns=said,signals"
    paths = (ALL + "?t=all", f"/p/shop/traces/{trace_id(1).hex}/", session, listed)

    for path in paths:
        # What a box of a facet would send is the text itself.
        html = re.sub(r'value="[^"]*"', "", read(shop.bob, path))
        assert "<script>alert" not in html
        assert "\u202e" not in html


def test_a_trace_shows_its_signals_who_and_how_they_came(shop):
    project = shop.project.pk
    put_trace(project, 1, "s_1")
    late = {"received_at": (NOON + timedelta(hours=9)).isoformat(), "bound_at": (NOON + timedelta(hours=9)).isoformat()}
    put_signal(project, trace=trace_id(1), vote=1, author="ada", revision=3, **late)
    put_signal(project, Kind.OUTSIDE, trace=trace_id(1), name="toxicity", value_number=0.5, source=Source.MODEL)

    html = unescape(read(shop.bob, f"/p/shop/traces/{trace_id(1).hex}/"))

    assert "What the user did about this answer" in html
    assert "changed 2 times, told 9 h later" in html
    assert 'href="/p/shop/users/ada/">ada' in html
    assert "Outside scores" in html
    assert html.index("Thumb up") < html.index("Outside scores") < html.index("toxicity 0.5")


def test_a_span_shows_the_signals_about_it(shop, otlp):
    trace = f"{7:032x}"
    otlp.send(otlp.generation(trace, "00000000000000ab"), otlp.span(trace, "00000000000000cd", name="other"))
    put_signal(shop.project.pk, Kind.COPIED, trace=trace, span_id=0xAB, target_kind=Target.SPAN)

    asked = shop.bob.get(
        f"/p/shop/traces/{trace}/?span=00000000000000ab", headers={"HX-Request": "true", "HX-Target": "span"}
    ).content.decode()
    other = shop.bob.get(
        f"/p/shop/traces/{trace}/?span=00000000000000cd", headers={"HX-Request": "true", "HX-Target": "span"}
    ).content.decode()

    assert "1 signal about this span" in asked
    assert "Copied" in asked
    assert "about this span" not in other


def test_a_session_shows_signals_on_their_turns_and_its_own(told):
    html = unescape(read(told.bob, "/p/shop/sessions/s_1/"))
    turns = html.split('<article class="turn"')

    assert "Thumb down: “The page says unopened only.”" in turns[2]
    assert "Corrected: “Only if faulty.”" in turns[2]
    assert "Thumb down" not in turns[1]
    assert "What the user did about the session as a whole" in html
    assert "Rating 2" in html
    assert "Conversion" not in html


def test_a_session_says_what_its_user_did_and_by_which_rule(told):
    html = unescape(read(told.bob, "/p/shop/sessions/s_1/"))

    assert "What its user did" in html
    assert re.search(r"<dt>What they did</dt><dd class=\"v\">Corrected</dd>", html)
    assert re.search(r"<dt>Vote</dt><dd class=\"v\">Down</dd>", html)
    assert "/p/shop/signals/definitions/" in html


def test_the_list_of_sessions_shows_groups_votes_and_coverage(told):
    put_behaviour(told.project.pk, "s_1", Stratum.CORRECTED, facts=Fact.CORRECTED, vote=-1, rating=2.0)
    put_behaviour(told.project.pk, "s_2", Stratum.COMPLETED, facts=Fact.COMPLETED | Fact.CONVERTED)

    html = unescape(read(told.bob, "/p/shop/sessions/?t=all"))

    assert re.search(r'data-l="What they did, vote"><span class="badge bad">corrected</span>', html)
    assert '<span class="badge bad">vote down</span>' in html
    assert "Of the 2 sessions that match. Of 2 that are over, 1 voted (50%)." in html
    assert 'href="?t=all&behaviour=corrected">Corrected</a> <b>1</b>' in html


def test_a_user_has_their_signals_and_groups(shop, otlp):
    rollup_memory.forget()
    for n, session in ((1, "s_1"), (2, "s_2")):
        attributes = {"user.id": "ada", "session.id": session}
        otlp.send(otlp.generation(f"{n:032x}", f"{n:016x}", attributes=attributes))
    while fold_roll_ups().traces:
        pass
    put_behaviour(shop.project.pk, "s_1", Stratum.CORRECTED, facts=Fact.CORRECTED, vote=-1)
    put_behaviour(shop.project.pk, "s_2", Stratum.OPEN)
    put_signal(shop.project.pk, Kind.TEXT, trace=trace_id(1), value_text="That was no help.", author="ada")
    put_signal(shop.project.pk, Kind.TEXT, trace=trace_id(1), value_text="Said by somebody else.", author="bob")

    html = unescape(read(shop.bob, "/p/shop/users/ada/"))

    assert "That was no help." in html
    assert "Said by somebody else." not in html
    assert "Of the 2 sessions that match" in html
    assert "Of 1 that is over, 1 voted (100%)." in html
    assert re.search(r'href="/p/shop/sessions/\?[^"]*user=ada&behaviour=corrected">Corrected</a> <b>1</b>', html)


def test_every_filter_of_the_list_is_documented_with_its_ways():
    page = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()
    table = page[page.index("| key | ways | values |") :]
    rows = dict(re.findall(r"^\| `(\w+)` \|((?: `[.\w]+`)*) \|", table, re.M))

    assert set(rows) == set(SIGNAL_FIELDS)
    for key, ways in rows.items():
        assert set(re.findall(r"`([^`]+)`", ways)) == {f".{op}" for op in ops_of(SIGNAL_FIELDS[key]) if op != "is"}, key
