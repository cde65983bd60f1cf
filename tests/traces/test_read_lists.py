"""Lists of traces: what they find, in which order, page by page."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from django.db import connection

from traces.read import (
    Ask,
    CostState,
    FilterError,
    Term,
    TooSlow,
    TraceFilter,
    each_trace,
    find_trace,
    list_traces,
    listing,
    neighbours,
    parse_terms,
    read_facets,
    resolve_id,
)
from traces.read.asking import asking

pytestmark = pytest.mark.django_db
WEEK = TraceFilter(start=datetime.now(UTC) - timedelta(days=7), end=datetime.now(UTC) + timedelta(days=1))


def hex_id(n):
    return f"{n:032x}"


def ids(page):
    return [row.trace_id.int for row in page.rows]


def where(**terms):
    made = tuple(
        Term(
            key.partition("__")[0], key.partition("__")[2] or "is", tuple(value if isinstance(value, list) else [value])
        )
        for key, value in terms.items()
    )
    return replace(WEEK, terms=made)


def found(shop, **terms):
    return sorted(ids(list_traces(shop.project.pk, where(**terms))))


@pytest.fixture
def four(shop, otlp):
    """Traces 1 (returns, alice), 2 (search, bob, failed), 3 (an unpriced model), 4 (plain), one second apart."""
    otlp.send(
        otlp.generation(
            hex_id(1),
            "a" * 16,
            at_ms=1000,
            ms=400,
            name="one",
            said="where is my parcel",
            attributes={
                "telltale.feature": "returns",
                "user.id": "alice",
                "session.id": "s1",
                "langfuse.trace.tags": "vip",
            },
        ),
        resource={"service.name": "shop", "deployment.environment.name": "production", "service.version": "1"},
    )
    otlp.send(
        otlp.generation(
            hex_id(2),
            "b" * 16,
            at_ms=2000,
            ms=900,
            name="two",
            said="100% _off_",
            attributes={
                "telltale.feature": "search",
                "user.id": "bob",
                "error.type": "Timeout",
                "gen_ai.usage.output_tokens": 5000,
            },
            status={"code": 2, "message": "late"},
        )
    )
    otlp.send(
        otlp.generation(
            hex_id(3),
            "c" * 16,
            at_ms=3000,
            ms=100,
            name="three",
            attributes={
                "gen_ai.request.model": "home-grown",
                "gen_ai.response.model": "home-grown",
                "gen_ai.provider.name": "me",
            },
        )
    )
    otlp.send(otlp.span(hex_id(4), "d" * 16, name="four", at_ms=4000, ms=50))
    return shop


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"feature": "returns"}, [1]),
        ({"feature": ["returns", "search"]}, [1, 2]),
        ({"feature__not": "returns"}, [2, 3, 4]),
        ({"feature__missing": "yes"}, [3, 4]),
        ({"model": "home-grown"}, [3]),
        ({"model__not": "home-grown"}, [1, 2, 4]),
        ({"user": "bob"}, [2]),
        ({"session": "s1"}, [1]),
        ({"environment": "production"}, [1]),
        ({"release": "1", "service": "shop"}, [1]),
        ({"name": "four"}, [4]),
        ({"status": "error"}, [2]),
        ({"status": "failed"}, [2]),
        ({"status": "ok"}, [1, 3, 4]),
        ({"status__not": "ok"}, [2]),
        ({"error_type": "Timeout"}, [2]),
        ({"cost_status": "unpriced"}, [3]),
        ({"cost_status": ["unpriced", "priced"]}, [1, 2, 3]),
        ({"kind": "generation"}, [1, 2, 3]),
        ({"kind__not": "generation"}, [4]),
        ({"kind": "retriever"}, []),
        ({"cost__min": "0.001"}, [2]),
        # What nobody has a price for is not free; what called no model is.
        ({"cost__max": "0"}, [4]),
        ({"cost__max": "1"}, [1, 2, 4]),
        ({"cost__min": "0"}, [1, 2, 4]),
        ({"tokens__max": "0"}, [4]),
        ({"duration_ms__min": "400", "duration_ms__max": "400"}, [1]),
        ({"tokens__min": "6000"}, [2]),
        ({"errors__min": "1"}, [2]),
        ({"tag": "vip"}, [1]),
        ({"feature": "returns", "user": "bob"}, []),
    ],
)
def test_a_filter_finds_what_it_names(four, terms, expected):
    assert found(four, **terms) == expected


@pytest.mark.parametrize(
    ("q", "expected"),
    [("PARCEL", [1]), ("100%", [2]), ("_off_", [2]), ("thr", [3]), ("bob", [2]), ("hi there", [1, 2, 3]), ("arce", [])],
)
def test_text_is_looked_for_by_its_words(four, q, expected):
    assert sorted(ids(list_traces(four.project.pk, replace(WEEK, q=q)))) == expected


@pytest.mark.parametrize("form", [hex_id(2), hex_id(2).upper(), str(UUID(int=2)), "b" * 16])
def test_an_id_in_any_form_finds_its_trace_whatever_the_window(four, form):
    window = TraceFilter(q=form) if form == "b" * 16 else replace(WEEK, end=WEEK.start + timedelta(1), q=form)
    page = list_traces(four.project.pk, resolve_id(four.project.pk, window))

    assert ids(page) == [2]


def test_the_senders_own_id_finds_its_trace(four):
    key = four.key("ingest")
    span = {"id": "step-1", "name": "own", "kind": "span", "start": datetime.now(UTC).isoformat()}
    body = {"trace_id": "order/4711", "spans": [span]}
    answer = four.nobody.post("/api/v1/traces", body, "application/json", headers=key)
    assert answer.status_code == 200, answer.content

    assert find_trace(four.project.pk, "order/4711").foreign_trace_id == "order/4711"
    assert len(list_traces(four.project.pk, resolve_id(four.project.pk, replace(WEEK, q="order/4711"))).rows) == 1


def test_another_project_is_not_looked_into(four):
    assert list_traces(four.elsewhere.pk, WEEK).rows == ()
    assert find_trace(four.elsewhere.pk, hex_id(1)) is None
    assert resolve_id(four.elsewhere.pk, replace(WEEK, q=hex_id(1))).trace_ids is None


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("-started_at", [4, 3, 2, 1]),
        ("started_at", [1, 2, 3, 4]),
        ("-duration", [2, 1, 3, 4]),
        ("duration", [4, 3, 1, 2]),
        ("-cost", [2, 1, 4, 3]),
        ("-tokens", [2, 3, 1, 4]),
        ("-errors", [2, 4, 3, 1]),
    ],
)
def test_every_sort_pages_both_ways_over_the_same_order(four, sort, order):
    project = four.project.pk
    forward, cursor = [], ""
    for _ in order:
        page = list_traces(project, WEEK, sort, Ask(limit=1, before=cursor))
        forward += ids(page)
        assert page.first == len(forward)
        cursor = page.older

    assert forward == order
    assert cursor is None
    last = list_traces(project, WEEK, sort, Ask(limit=1, before=list_traces(project, WEEK, sort, Ask(limit=3)).older))
    back = list_traces(project, WEEK, sort, Ask(limit=2, after=last.newer))
    assert ids(back) == order[1:3]
    assert (back.first, back.has_newer, back.has_older) == (2, True, True)
    first = list_traces(project, WEEK, sort, Ask(limit=2, after=back.newer))
    assert (ids(first), first.first, first.has_newer) == (order[:1], 1, False)


def test_a_page_counts_exactly_until_it_is_many(four, monkeypatch):
    assert list_traces(four.project.pk, WEEK).count == listing.Count(4, True)

    monkeypatch.setattr(listing, "COUNT_MAX", 2)
    count = list_traces(four.project.pk, WEEK).count

    assert not count.is_exact
    assert count.n >= 3


def test_neighbours_keep_filter_and_order(four):
    rows = list_traces(four.project.pk, WEEK, "-duration").rows

    newer, older = neighbours(four.project.pk, WEEK, "-duration", rows[1])
    filtered = neighbours(four.project.pk, where(status="ok"), "-started_at", rows[0])

    assert (newer.trace_id, older.trace_id) == (rows[0].trace_id, rows[2].trace_id)
    assert [row and row.trace_id.int for row in filtered] == [3, 1]
    assert neighbours(four.project.pk, WEEK, "-duration", rows[0])[0] is None


@pytest.mark.parametrize("bad", ["x", "e30", "WyJhIl0", "a" * 500, "WyItc3RhcnRlZF9hdCIsMSwiMSIsMV0"])
def test_a_cursor_of_no_list_is_refused(four, bad):
    with pytest.raises(FilterError, match="cursor"):
        list_traces(four.project.pk, WEEK, ask=Ask(before=bad))


@pytest.mark.parametrize(
    ("value", "cast"),
    [
        ("\u0663", "bigint"),
        ("1e5", "bigint"),
        ("1.5", "integer"),
        (str(2**31), "integer"),
        (str(2**63), "bigint"),
        ("NaN", "numeric"),
        ("1_0", "numeric"),
        (" 1", "numeric"),
        ("1\n", "numeric"),
        (7, "bigint"),
        ("2026-W01-1", "timestamptz"),
        ("2026-01-01T00:00:00", "timestamptz"),
        ("2026-01-01T00:00:00+23:59", "timestamptz"),
    ],
)
def test_a_forged_cursor_holds_nothing_that_the_database_cannot_read(four, value, cast):
    sort = {"timestamptz": "-started_at", "numeric": "-cost", "integer": "-errors"}.get(cast, "-tokens")
    forged = base64.urlsafe_b64encode(orjson.dumps([sort, value, hex_id(1), 1])).decode().rstrip("=")
    with pytest.raises(FilterError, match="cursor"):
        list_traces(four.project.pk, WEEK, sort, Ask(before=forged))


def test_a_cursor_of_another_order_is_refused(four):
    cursor = list_traces(four.project.pk, WEEK, "-cost", Ask(limit=1)).older

    with pytest.raises(FilterError):
        list_traces(four.project.pk, WEEK, "-tokens", Ask(before=cursor))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cost.min", "dear"),
        ("cost.min", "NaN"),
        ("cost", "1"),
        ("status", "sad"),
        ("feature.min", "1"),
        ("kind", "x"),
        ("feature", "a\x00b"),
        ("feature", "\ud800"),
        ("user", "x" * 2000),
        ("cost.min", "1e99"),
        ("model.missing", "1"),
    ],
)
def test_a_filter_that_cannot_be_is_told_and_left_out(key, value):
    terms, wrong = parse_terms([(key, [value]), ("feature.not", ["b"]), ("sort", ["cost"])])

    assert [term.key for term in terms] == ["feature.not"]
    assert [error.key for error in wrong] == [key]


def test_costs_say_how_far_they_are_known(four):
    by_id = {row.trace_id.int: row.cost for row in list_traces(four.project.pk, WEEK).rows}

    assert by_id[1].state is CostState.EXACT
    assert by_id[1].usd > 0
    assert (by_id[3].state, by_id[3].usd) == (CostState.UNPRICED, None)
    assert (by_id[4].state, by_id[4].usd) == (CostState.NONE, None)


def test_facets_count_each_value_and_ignore_their_own_filter(four):
    facets = read_facets(four.project.pk, where(feature="returns"))
    by_field = {f.field: {v.value: v.n for v in f.values} for f in facets.facets}

    assert facets.n == 1
    assert facets.is_whole
    assert by_field["feature"] == {"returns": 1, "search": 1}
    assert by_field["model"] == {"gpt-4o-mini": 1}
    assert by_field["status"] == {"ok": 1}
    assert sum(facets.histogram.bars) == 1


def test_facets_look_at_the_newest_only_and_say_so(four):
    facets = read_facets(four.project.pk, WEEK, sample=2)

    assert (facets.n, facets.is_whole) == (2, False)
    assert {f.field: {v.value: v.n for v in f.values} for f in facets.facets}["model"] == {"home-grown": 1}
    assert sum(facets.histogram.bars) == 2


def test_a_facet_that_is_chosen_stays_in_sight_with_none(four):
    facets = read_facets(four.project.pk, where(feature="gone"))

    assert {v.value: v.n for f in facets.facets if f.field == "feature" for v in f.values}["gone"] == 0


def test_an_export_reads_all_pages(four):
    assert [row.trace_id.int for row in each_trace(four.project.pk, WEEK, chunk=3)] == [4, 3, 2, 1]


def test_a_question_that_takes_too_long_is_stopped(db, settings):
    settings.PAGE_TIMEOUT_MS = 30
    with pytest.raises(TooSlow), asking() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
