"""Lists by what one call was like, and by metadata: equal to looking at every span one by one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import orjson
import pytest
from django.db import connection
from django.http import QueryDict

from traces.canonical.types import Kind
from traces.forms import read_list
from traces.read import Ask, FilterError, each_trace, list_traces, list_with_facets, listing, neighbours, parse_terms
from traces.read import calls as calls_module
from traces.read.asking import asking

pytestmark = pytest.mark.django_db
MODELS = ("gpt-4o-mini", "claude-haiku", None)
NAMES = ("search", "pay", "mail")


def hex_id(n):
    return f"{n:032x}"


def wanted(query):
    state = read_list(QueryDict(query), ZoneInfo("UTC"), datetime.now(UTC))
    assert state.errors == ()
    return state.wanted


WHOLE = Ask(limit=1000)


def found(shop, query, ask=WHOLE):
    page, _ = list_with_facets(shop.project.pk, wanted(query), "-started_at", ask)
    return page, {row.hex_id for row in page.rows}


@pytest.fixture
def many(shop, otlp):
    """Sixty traces of random spans."""
    dice = random.Random(7)
    otlp.start_ns -= 3 * 3600 * 10**9
    for n in range(1, 61):
        spans = []
        for k in range(dice.randint(1, 6)):
            attributes = {}
            if dice.random() < 0.5:
                attributes |= {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"}
                model = dice.choice(MODELS)
                if model:
                    attributes["gen_ai.request.model"] = model
                    if dice.random() < 0.5:
                        attributes["gen_ai.response.model"] = dice.choice(MODELS[:2])
            else:
                attributes["gen_ai.operation.name"] = "execute_tool"
            if dice.random() < 0.3 or k == 0:
                attributes["telltale.feature"] = dice.choice(("help", "shop"))
            failed = dice.random() < 0.3
            more = {"status": {"code": 2}} if failed else {}
            if failed and dice.random() < 0.5:
                attributes["error.type"] = "Timeout"
            spans.append(
                otlp.span(hex_id(n), f"{n * 100 + k:016x}", f"{n * 100:016x}" if k else None, dice.choice(NAMES),
                          at_ms=n * 120_000 + k * 50_000, attributes=attributes, **more)
            )  # fmt: skip
        otlp.send(*spans)
    return shop


def every_span(shop):
    """All spans as plain rows, inherited values filled in."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT replace(s.trace_id::text, '-', ''), s.kind, s.name, coalesce(s.model_answered, s.model_requested),
                s.status, s.error_type, coalesce(s.feature, t.feature), s.started_at
            FROM traces_span AS s JOIN traces_trace AS t USING (project_id, trace_id) WHERE s.project_id = %s
            """,
            [shop.project.pk],
        )
        return cursor.fetchall()


CASES = {
    "call.kind=tool&call.status=error": lambda kind, name, model, status, error, feature: kind == 5 and status == 2,
    "call.kind=generation&call.model=claude-haiku": lambda kind, name, model, status, error, feature: (
        kind == 1 and model == "claude-haiku"
    ),
    "call.model.missing=yes": lambda kind, name, model, status, error, feature: model is None,
    "call.model.not=claude-haiku&call.kind=generation": lambda kind, name, model, status, error, feature: (
        kind == 1 and model != "claude-haiku"
    ),
    "call.feature=help&call.name=pay": lambda kind, name, model, status, error, feature: (
        feature == "help" and name == "pay"
    ),
    "call.name=pay&call.name=mail&call.status=ok": lambda kind, name, model, status, error, feature: (
        name in {"pay", "mail"} and status != 2
    ),
    "call.error_type=Timeout&call.kind.not=tool": lambda kind, name, model, status, error, feature: (
        error == "Timeout" and kind != 5
    ),
}


@pytest.mark.parametrize("exactly", [False, True])
@pytest.mark.parametrize("ids_max", [2000, 3])
@pytest.mark.parametrize("query", CASES)
def test_calls_are_those_of_one_and_the_same_span(many, monkeypatch, query, ids_max, exactly):
    monkeypatch.setattr(calls_module, "IDS_MAX", ids_max)
    hits = [row[0] for row in every_span(many) if CASES[query](*row[1:7])]

    page, ids = found(many, query, Ask(limit=1000, exactly=exactly))

    assert 0 < len(set(hits)) < 60
    assert ids == set(hits)
    assert (page.count.n, page.count.calls, page.count.is_exact) == (len(set(hits)), len(hits), True)
    assert {row.hex_id for row in each_trace(many.project.pk, wanted(query))} == ids


@pytest.mark.parametrize("feature", ["", "&feature=help", "&status=error", "&t=1h"])
def test_a_window_of_calls_counts_what_lies_in_it(many, feature):
    rows = every_span(many)
    starts = sorted(row[7] for row in rows)
    first, last = starts[len(starts) // 4], starts[len(starts) // 2]
    low, high = (at.isoformat().replace("+00:00", "Z") for at in (first, last))
    listed = {row.hex_id for row in list_traces(many.project.pk, wanted("t=all" + feature), ask=WHOLE).rows}
    if feature == "&t=1h":
        listed = {row.hex_id for row in list_traces(many.project.pk, wanted("t=1h"), ask=WHOLE).rows}
    hits = [row[0] for row in rows if first <= row[7] < last and row[0] in listed]

    page, ids = found(many, f"call.from={low}&call.to={high}{feature}")

    assert ids == set(hits)
    assert (page.count.n, page.count.calls) == (len(set(hits)), len(hits))


def test_the_trace_of_a_call_may_have_begun_long_before_it(shop, otlp):
    otlp.start_ns -= 30 * 86_400 * 10**9
    otlp.send(otlp.span(hex_id(1), "a" * 16, name="root"))
    otlp.start_ns += 29 * 86_400 * 10**9
    otlp.send(otlp.span(hex_id(1), "b" * 16, "a" * 16, name="late"))
    at = datetime.fromtimestamp(otlp.start_ns / 1e9, UTC)
    low, high = (f"{at + timedelta(minutes=m):%Y-%m-%dT%H:%M:%SZ}" for m in (-1, 1))

    page, ids = found(shop, f"call.from={low}&call.to={high}&call.name=late")

    assert (ids, page.count.calls) == ({hex_id(1)}, 1)


def test_next_and_previous_follow_calls(many):
    asked = wanted("call.kind=tool&call.status=error")
    rows = list_traces(many.project.pk, asked, ask=WHOLE).rows

    newer, older = neighbours(many.project.pk, asked, "-started_at", rows[3])

    assert (newer.trace_id, older.trace_id) == (rows[2].trace_id, rows[4].trace_id)


@pytest.fixture
def attached(shop, otlp):
    """Traces whose senders attached metadata, in several forms."""
    metadata = {
        1: {"plan": "free", "cart": 3, "beta": True, "order.id": "o-1", "quote\"'": "x"},
        2: {"plan": "plus", "cart": "12", "beta": False},
        3: {"plan": 42, "cart": "many"},
        4: {"cart": 1e30},
        5: {},
    }
    for n, held in metadata.items():
        attributes = {"openinference.span.kind": "LLM", "metadata": orjson.dumps(held).decode()}
        otlp.send(otlp.span(hex_id(n), f"{n:016x}", at_ms=n * 1000, attributes=attributes), scope="openinference.test")
    return shop


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("meta.plan=free", {1}),
        ("meta.plan=free&meta.plan=plus", {1, 2}),
        ("meta.plan=42", {3}),
        ("meta.beta=true", {1}),
        ("meta.plan.not=free", {2, 3, 4, 5}),
        ("meta.plan.missing=yes", {4, 5}),
        ("meta.cart.min=3", {1, 2, 4}),
        ("meta.cart.max=3", {1}),
        ("meta.cart.min=2&meta.cart.max=20", {1, 2}),
        ("meta.order.id=o-1", {1}),
        ("meta.quote%22%27=x", {1}),
        ("meta.nothing=x", set()),
        ("meta.plan=%25", set()),
    ],
)
def test_metadata_is_found_as_text_number_and_truth(attached, query, ids):
    page, hexes = found(attached, query)

    assert hexes == {hex_id(n) for n in ids}
    assert page.count.n == len(ids)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("call.kind", "dance", "is not accepted"),
        ("call.from", "soon", "is no time"),
        ("call.from", "0001-01-01", "is no time"),
        ("call.from.not", "2026-01-01", "is no way"),
        ("call.model.min", "3", "is no way"),
        ("call.cost.min", "dear", "is no number"),
        ("meta.cart.min", "many", "is no number"),
        ("meta.cart.min", "1e-99999", "is no number"),
        ("meta.cart.min", "1e-999999999", "is no number"),
        ("meta.cart.max", "1e999999999", "is no number"),
        ("call.cost.min", "-1e999999999", "is no number"),
        ("meta." + "k" * 201, "x", "is too long"),
        ("meta.a\x00b", "x", "holds characters"),
        ("meta.plan", "\ud800", "holds characters"),
        ("feature.from.here", "x", "is no way"),
    ],
)
def test_a_filter_that_cannot_be_says_why(key, value, words):
    terms, wrong = parse_terms([(key, [value])])

    assert terms == ()
    assert [isinstance(error, FilterError) and words in error.message for error in wrong] == [True]


def test_too_many_values_and_filters_are_told():
    assert "too many values" in parse_terms([("feature", [str(n) for n in range(51)])])[1][0].message
    ways = [(f"{key}{way}", ["x"]) for key in ("user", "session", "name", "release", "service") for way in ("", ".not")]
    ways += [(f"{key}.{way}", ["1"]) for key in ("cost", "tokens", "spans", "errors") for way in ("min", "max")]
    ways += [(f"call.{key}{way}", ["x"]) for key in ("model", "feature", "environment") for way in ("", ".not")]
    ways += [(f"{key}.missing", ["1"]) for key in ("user", "session", "name", "release", "service", "feature")]
    metas = [(f"meta.k{n}", ["x"]) for n in range(11)]

    terms, wrong = parse_terms([*ways, *metas])
    assert (len(terms), [(error.key, error.limit) for error in wrong]) == (40, [("meta.k10", "40 filters")])
    assert [error.limit for error in parse_terms(metas)[1]] == ["10 filters by metadata"]


def test_every_kind_can_be_asked_for(many):
    for kind in Kind:
        assert found(many, f"call.kind={kind.name.lower()}")[0].count.is_exact


def test_counts_are_exact_where_they_should_be(many, monkeypatch):
    monkeypatch.setattr(listing, "COUNT_MAX", 10)

    def counted(**more):
        with asking() as cursor:
            return listing.count_traces(cursor, many.project.pk, wanted("t=all"), **more)

    assert not counted().is_exact
    assert counted().n > 10
    assert counted(is_window=True) == counted(exactly=True) == listing.Count(60, True)
    monkeypatch.setattr(listing, "WINDOW_COST_MAX", 0)
    assert not counted(is_window=True).is_exact
    assert counted(tried=(5, 10)).n == counted().n  # no part of the filter is without an index


def test_both_ends_of_a_window_ask_for_an_exact_count():
    now = datetime.now(UTC)
    asked = {
        "from=2026-11-01&to=2026-11-02": True, "from=2026-11-01": False, "t=28d": False, "": False,
    }  # fmt: skip

    assert {query: read_list(QueryDict(query), ZoneInfo("UTC"), now).is_window for query in asked} == asked
