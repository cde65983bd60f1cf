"""The performance page: figures with intervals, limits with their sources, and every number down to its traces."""

from __future__ import annotations

import html
import json
import re

import psycopg
import pytest

from traces import folding
from traces.write import rollup_memory


@pytest.fixture
def look(shop):
    """GET the page of `shop` as bob, its viewer."""

    def get(query="", slug="shop"):
        return shop.bob.get(f"/p/{slug}/performance/?{query}")

    return get


def test_an_empty_window_says_so_and_shows_no_zeros(look):
    page = look("t=24h").content.decode()
    assert "Nothing to measure in this window" in page
    assert "0 ms" not in page
    assert "0%" not in page


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("by=colour", "&#x27;colour&#x27; is no breakdown"),
        ("t=9y", "There is no window &#x27;9y&#x27;"),
        ("feature=" + "x" * 1025, "feature: at most 1,024 characters, got 1,025"),
        ("feature=%00", "feature: holds characters that no stored text has"),
    ],
)
def test_an_address_that_is_not_understood_is_told_so_and_answered(look, query, says):
    response = look(query)
    assert response.status_code == 200
    assert says in response.content.decode()


@pytest.fixture
def traffic(otlp, shop):
    """Forty requests of `search` and ten of `returns`, each a little longer; three failed, one was refused."""
    rollup_memory.forget()
    for n in range(50):
        trace, feature = f"{n + 1:032x}", "returns" if n % 5 == 0 else "search"
        failed = {"status": {"code": 2}} if n in {3, 5, 8} else {}
        attributes = {
            "gen_ai.response.time_to_first_chunk": 0.2 + n / 100,
            "gen_ai.response.finish_reasons": "refusal" if n == 7 else "stop",
            "gen_ai.output.type": "text",
        }
        if failed:
            attributes["error.type"] = "RateLimitError"
        otlp.send(
            otlp.span(trace, "0a" * 8, ms=1000 + 10 * n, attributes={"telltale.feature": feature}, **failed),
            otlp.generation(trace, "0b" * 8, "0a" * 8, at_ms=5, ms=900 + 10 * n, attributes=attributes, **failed),
            otlp.span(trace, "0c" * 8, "0a" * 8, name="find products", at_ms=1, ms=3),
        )
    folding.fold_roll_ups()
    return shop


def body(response):
    assert response.status_code == 200
    return response.getvalue().decode()


def test_the_head_answers_and_the_figures_carry_their_intervals(traffic, look):
    page = body(look("t=1h"))
    assert re.search("<h1>(.*)</h1>", page)[1] == "Half of requests end within 1.3 s, 95 of 100 within 1.5 s"
    assert "6.0% (95% CI 2.1%–16%) of requests have errors" in page
    assert "no upper limit from n = 50" in page
    assert "told by 50 of 50 calls" in page


def test_limits_are_named_by_their_source(traffic, look):
    page = body(look("t=1h"))
    assert "p95 over 500 ms, after “LLM Monitoring and Observability”" in page
    assert "over 1%, after “LLM Monitoring and Observability”" in page


def test_every_count_opens_as_many_traces(traffic, look):
    """Each address on the page that a count stands beside lists exactly as many requests or calls."""
    page = body(look("t=1h&by=feature"))
    told = re.findall(r'<a href="([^"]+)" aria-label="([\d,]+) (requests|model calls|steps) of', page)
    reason = r'<a class="rowlink" href="([^"]*traces/[^"]+)">[^<]+</a></th><td class="num">([\d,]+)(</td>)'
    told += re.findall(reason, page)
    for by in ("model", "stage"):
        told += re.findall(
            r'<a href="([^"]+)" aria-label="([\d,]+) (requests|model calls|steps) of', body(look(f"t=1h&by={by}"))
        )
    assert len(told) >= 8
    for href, count, _ in told:
        listed = json_of(traffic, href)
        assert listed == int(count.replace(",", "")), href


def json_of(shop, href):
    """How many traces the list at `href` has, read from its NDJSON export."""
    answer = shop.bob.get(html.unescape(href) + "&format=ndjson")
    return len(b"".join(answer.streaming_content).splitlines())


def test_points_of_charts_open_their_traces(traffic, look):
    page = body(look("t=1h"))
    hits = re.findall(r'<a href="([^"]+)" tabindex="-1" aria-label="[^"]*: ([\d,]+) requests"', page)
    assert hits
    assert sum(int(n) for _, n in hits) == 50
    assert all(json_of(traffic, href) == int(n) for href, n in hits)


def test_a_filter_by_model_shows_calls_and_says_why(traffic, look):
    page = body(look("t=1h&model=gpt-4o-mini"))
    assert "A request has no single model or provider" in page
    assert "Half of model calls end within" in page
    assert "Nothing matches these filters" in body(look("t=1h&model=none-such"))


def test_stages_are_told_apart_by_kind_and_name(traffic, look):
    page = body(look("t=1h&by=stage"))
    assert "find products" in page
    assert ">50</a>" in page


def test_error_types_and_finish_reasons_are_counted(traffic, look):
    page = body(look("t=1h"))
    assert re.search(r"RateLimitError</a></th><td class=\"num\">3</td><td class=\"num\">100%", page)
    assert re.search(r"refusal</a></th><td class=\"num\">1</td><td class=\"num\">2.0% \(95% CI 0.4%–10%\)", page)
    assert "Refused: 1 of 50 calls" in page


def test_the_table_is_a_csv_whose_cells_are_no_formulas(traffic, look, otlp):
    otlp.send(otlp.span("f" * 32, "0a" * 8, attributes={"telltale.feature": "=1+1"}))
    folding.fold_roll_ups()
    lines = body(look("t=1h&format=csv")).splitlines()
    assert lines[0].startswith("feature,detail,n,errors")
    counts = {line.split(",")[0]: line.split(",")[2] for line in lines[1:]}
    assert counts == {"search": "40", "returns": "10", "'=1+1": "1"}


def test_the_table_is_ndjson_as_rest_tells_it(traffic, look, shop):
    answer = look("t=1h&format=ndjson")
    rows = [json.loads(line) for line in body(answer).splitlines()]

    assert answer["Content-Type"].startswith("application/x-ndjson")
    assert [(row["value"], row["figures"]["n"]) for row in rows] == [("search", 40), ("returns", 10)]
    assert isinstance(rows[0]["figures"]["latency_ms"]["p95"]["value"], float)
    assert 'href="?t=1h&amp;format=ndjson"' in look("t=1h").content.decode()


def test_rest_tells_the_same(traffic, shop):
    answer = shop.nobody.get("/api/v1/performance?by=feature", headers=shop.key("read"))
    told = answer.json()
    assert answer.status_code == 200
    assert (told["requests"]["n"], told["requests"]["errors"]["k"]) == (50, 3)
    assert {row["value"]: row["figures"]["n"] for row in told["breakdown"]} == {"search": 40, "returns": 10}
    assert sum(point["requests"]["n"] for point in told["series"]) == 50
    p95 = told["requests"]["latency_ms"]["p95"]
    assert p95["value"] == pytest.approx(1470, rel=0.0245)
    assert p95["low"] < p95["value"]
    assert p95["high"] is None
    assert {row["reason"]: row["n"] for row in told["finish_reasons"]} == {"stop": 49, "refusal": 1}


@pytest.mark.parametrize("query", ["by=colour", "from=yesterday", "colour=red", "from=2020-01-01&to=2026-01-01"])
def test_rest_names_the_parameter_it_does_not_take(shop, query):
    answer = shop.nobody.get(f"/api/v1/performance?{query}", headers=shop.key("read"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"]


@pytest.fixture
def statements(monkeypatch):
    """Every statement that any cursor executes, also those past Django."""
    found = []
    execute = psycopg.Cursor.execute

    def noted(self, query, *args, **kwargs):
        found.append(query)
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return found


def test_the_page_asks_the_same_number_of_questions_at_any_size(traffic, look, otlp, statements):
    look("t=1h")
    few = len(statements)
    for n in range(20):
        otlp.send(otlp.generation(f"{n + 1000:032x}", "0b" * 8, attributes={"telltale.feature": f"feature {n}"}))
    folding.fold_roll_ups()
    statements.clear()
    look("t=1h")
    assert 10 < len(statements) == few


def test_calls_of_our_own_judges_are_no_traffic_of_the_application(traffic, otlp, look):
    for n in range(20):
        otlp.send(
            otlp.generation(f"{n + 900:032x}", "0d" * 8, name="judge", ms=60_000),
            resource={"service.name": "telltale.judge"},
        )
    folding.fold_roll_ups()

    page = body(look("t=24h"))
    asked_for = body(look("t=24h&service=telltale.judge"))
    by_model = body(look("t=24h&by=model"))

    assert numbers_of(page) == ["50"]
    assert numbers_of(asked_for) == ["20"]
    assert re.search(r'aria-label="50 model calls of gpt-4o-mini"', by_model)


def numbers_of(page):
    return re.findall(r"<dt[^>]*>Requests</dt>\s*<dd[^>]*>([\d,]+)", page) or re.findall(
        r"Requests</[a-z]+>\s*<[^>]+>([\d,]+)", page
    )
