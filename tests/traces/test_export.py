"""Lists as files: whole, exact, harmless in a spreadsheet, and never more than a few at a time."""

from __future__ import annotations

import csv
import gc
import io
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import orjson
import pytest

from traces.pages import export
from traces.pages.export import AT_A_TIME, NAMES, Busy, cell, download
from traces.read import Ask, TooSlow, TraceFilter, each_trace, list_traces

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/traces/"


def hex_id(n):
    return f"{n:032x}"


def free_slots():
    taken = 0
    while export._slots.acquire(blocking=False):
        taken += 1
    for _ in range(taken):
        export._slots.release()
    return taken


@pytest.fixture(autouse=True)
def every_slot_comes_back():
    """Whatever a test does with downloads, all slots are free behind it."""
    yield
    gc.collect()
    assert free_slots() == AT_A_TIME


@pytest.fixture
def some(shop, otlp):
    """Twelve traces."""
    otlp.send(*(otlp.span(hex_id(n), f"{n:016x}", name=f"t{n}", at_ms=n, ms=100 * (n * 7 % 12)) for n in range(1, 13)))
    return shop


def body(answer):
    return b"".join(answer.streaming_content).decode()


def let_go(answer):
    """What closing the answer does to the file, without the end of a request, which closes the test's connection."""
    answer._iterator.close()


def rows_of(answer):
    return list(csv.DictReader(io.StringIO(body(answer))))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx"])
def test_text_that_computes_becomes_text_again(text):
    assert cell(text) == "'" + text
    assert cell([text, "b"]) == f"'{text}; b"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),  # which the writer of CSV leaves empty
        (0, 0),
        (-5, -5),
        (2**70, 2**70),
        (Decimal("-0.000000000001"), "-0.000000000001"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
        (datetime(2026, 11, 19, 10, 0, 0, 1, tzinfo=UTC), "2026-11-19T10:00:00.000001Z"),
        (UUID(int=1), hex_id(1)),
        (["a", "b"], "a; b"),
        ([], ""),
        ("a=b", "a=b"),
    ],
)
def test_values_keep_every_digit(value, shown):
    assert cell(value) == shown


def test_ndjson_keeps_types_and_unknown():
    record = {"a": None, "b": Decimal("0.10"), "c": 2**70, "d": ["=x"], "e": -1.5}

    answer = download("x", "ndjson", tuple(record), iter([record]))

    assert orjson.loads(body(answer)) == {"a": None, "b": "0.10", "c": str(2**70), "d": ["=x"], "e": -1.5}


@pytest.mark.parametrize("sort", ["-started_at", "started_at", "-cost", "-duration", "duration", "tokens", "-errors"])
@pytest.mark.parametrize("chunk", [1, 5, 12, 1000])
def test_a_file_has_every_row_in_the_order_of_the_list(some, sort, chunk):
    listed = list_traces(some.project.pk, TraceFilter(), sort, Ask(limit=1000)).rows

    assert [row.hex_id for row in each_trace(some.project.pk, TraceFilter(), sort, chunk)] == [r.hex_id for r in listed]


@pytest.mark.parametrize("path", [PAGE + "?t=28d&sort=-duration&", "/api/v1/traces?project=shop&sort=-duration&"])
def test_page_and_rest_give_the_same_file(some, path):
    answer = some.bob.get(path + "format=csv&spans.min=1")

    rows = rows_of(answer)

    assert tuple(rows[0]) == NAMES
    assert [float(row["duration_ms"]) for row in rows] == sorted(
        (100 * (n * 7 % 12) for n in range(1, 13)), reverse=True
    )
    assert rows[0]["started_at"].endswith("Z")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"


def test_a_list_of_nothing_is_a_file_of_headings(some):
    assert body(some.bob.get(PAGE + "?feature=none&format=csv")) == ",".join(NAMES) + "\r\n"
    assert body(some.bob.get(PAGE + "?feature=none&format=ndjson")) == ""


def test_filters_hold_in_the_file(some):
    rows = rows_of(some.bob.get(PAGE + "?name=t3&name=t4&format=csv"))

    assert {row["name"] for row in rows} == {"t3", "t4"}


def test_only_so_many_files_are_sent_at_a_time(some):
    held = [download("x", "csv", ("a",), iter([{"a": 1}])) for _ in range(AT_A_TIME)]

    page = some.bob.get(PAGE + "?format=csv")
    rest = some.bob.get("/api/v1/traces?project=shop&format=ndjson")

    assert (page.status_code, page["Retry-After"]) == (503, "10")
    assert (rest.status_code, rest["Retry-After"], rest["Content-Type"]) == (503, "10", "application/problem+json")
    with pytest.raises(Busy):
        download("x", "csv", ("a",), iter([]))
    assert some.bob.get(PAGE).status_code == 200
    let_go(held.pop())
    assert rows_of(some.bob.get(PAGE + "?format=csv"))
    for answer in held:
        let_go(answer)


def test_a_reader_that_goes_gives_its_place_back():
    closed = []

    def endless():
        try:
            while True:
                yield {"a": "x" * 1000}
        finally:
            closed.append(True)

    answer = download("x", "csv", ("a",), endless())
    next(iter(answer.streaming_content))
    assert free_slots() == AT_A_TIME - 1

    let_go(answer)

    assert free_slots() == AT_A_TIME
    assert closed == [True]


def test_what_goes_wrong_later_cuts_the_file():
    def breaks():
        yield from ({"a": "x" * 1000} for _ in range(1000))
        raise TooSlow

    answer = download("x", "csv", ("a",), breaks())

    with pytest.raises(TooSlow):
        b"".join(answer.streaming_content)
    assert free_slots() == AT_A_TIME


def test_what_goes_wrong_at_once_is_an_answer(some, monkeypatch):
    def slow(*_):
        raise TooSlow

    monkeypatch.setattr(export, "each_trace", slow)

    assert some.bob.get(PAGE + "?format=csv").status_code == 503
    by_rest = some.bob.get("/api/v1/traces?project=shop&format=csv")
    assert (by_rest.status_code, by_rest.has_header("Retry-After")) == (503, True)


def test_a_file_that_takes_too_long_is_cut(monkeypatch):
    answer = download("x", "csv", ("a",), iter([{"a": 1}]))
    monkeypatch.setattr(export.time, "monotonic", lambda: 1e12)

    with pytest.raises(export.CutShort):
        next(iter(answer.streaming_content))


def test_head_reads_nothing(some):
    answer = some.bob.head(PAGE + "?format=csv")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["Content-Disposition"] == 'attachment; filename="shop-traces.csv"'


def test_an_unknown_format_is_told(some):
    assert some.bob.get("/api/v1/traces?project=shop&format=xml").status_code == 400


def test_lines_come_in_pieces_and_not_one_by_one():
    answer = download("x", "ndjson", ("a",), ({"a": "y" * 100} for _ in range(10_000)))

    pieces = [len(piece) for piece in answer.streaming_content]

    assert sum(pieces) == 10_000 * 109
    assert len(pieces) < 12


def test_facets_by_rest_are_those_of_the_page(some):
    answer = some.bob.get("/api/v1/traces/facets?project=shop&spans.min=1").json()

    assert (answer["count"], answer["is_exact"], answer["is_whole"], answer["calls"]) == (12, True, True, None)
    assert {facet["field"]: facet["values"] for facet in answer["facets"]}["status"] == [{"value": "ok", "n": 12}]
    assert sum(answer["histogram"]["n"]) == 12

    calls = some.bob.get("/api/v1/traces/facets?project=shop&call.name=t3&count=exact").json()
    assert (calls["count"], calls["calls"]) == (1, 1)
