"""Two traces side by side, on the page and by REST."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

pytestmark = pytest.mark.django_db
A, B, FAR = ("0" * 31 + n for n in "129")
PAGE = "/p/shop/traces/compare/"


def read(client, query="", status=200):
    answer = client.get(PAGE + query)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def words(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def turn(otlp, trace, said, answered, model="gpt-4o-mini", extra=(), at_ms=0, version="v17"):
    otlp.send(
        otlp.span(
            trace, "1" * 16, name="turn", ms=4000, at_ms=at_ms,
            attributes={
                "telltale.feature": "returns", "gen_ai.prompt.name": "returns", "gen_ai.prompt.version": version,
            },
        ),
        otlp.generation(
            trace, "2" * 16, "1" * 16, f"chat {model}", said=said, answered=answered, at_ms=at_ms + 1,
            attributes={"gen_ai.response.model": model, "gen_ai.request.temperature": 0.2},
        ),
        *extra,
    )  # fmt: skip


@pytest.fixture
def two(shop, otlp):
    """The same question twice: another model, another prompt version, another answer, one more step."""
    turn(otlp, A, "How long may I return a gift?", "You have 30 days to send a gift back.")
    turn(
        otlp, B, "How long may I return a gift?", "You have 60 days to send any gift back.", "gpt-4o", at_ms=60_000,
        version="v18",
        extra=[
            otlp.span(B, "3" * 16, "1" * 16, "check", at_ms=60_010, attributes={"openinference.span.kind": "GUARDRAIL"})
        ],
    )  # fmt: skip


def test_figures_steps_and_words_that_differ_are_shown(shop, two):
    html = read(shop.bob, f"?a={A}&b={B}")
    text = words(html)

    assert "Prompt returns v17 returns v18 differs" in text
    assert re.search(r"Cost \$0\.0002\S* \$0\.00\S+ \+\$0\.00\S+ \(\+\d", text)
    assert "Feature returns returns same" in text
    assert "check only in B" in text
    assert "chat gpt-4o-mini in B chat gpt-4o" in text
    assert "You have <del>30</del> days to send <del>a</del> gift back." in html
    assert "You have <ins>60</ins> days to send <ins>any</ins> gift back." in html
    assert re.search(r"User <[^>]*>\s*same|User same", text)


def test_spans_named_in_the_address_are_compared(shop, two):
    text = words(read(shop.bob, f"?a={A}:{'1' * 16}&b={B}:{'1' * 16}"))

    assert "The chosen step: turn" in text
    assert "Neither step carries content." in text


def test_two_steps_of_one_trace_need_no_tree(shop, two):
    text = words(read(shop.bob, f"?a={B}:{'2' * 16}&b={B}:{'3' * 16}"))

    assert "Two steps of one trace" in text
    assert "Step by step" not in text


def test_with_one_trace_the_ones_before_it_are_offered(shop, two):
    html = read(shop.bob, f"?a={B}")

    assert f"?a={A}&b={B}" in html
    assert "the one before of the same feature" in html
    assert "differs" not in html


def test_the_boxes_of_the_list_lead_here(shop, two):
    assert "side by side" in read(shop.bob, f"?pick={A}&pick={B}")


def test_what_is_not_there_is_said_and_the_form_keeps_it(shop, otlp, two):
    otlp.send(otlp.span(FAR, "1" * 16), project=shop.elsewhere)

    html = read(shop.bob, f"?a={A}&b={FAR}", status=404)

    assert f"no trace or span “{FAR}”" in html
    assert f'value="{FAR}"' in html
    assert read(shop.bob, f"?a={A}:{'9' * 16}&b={A}", status=404)
    assert read(shop.bob, "?a=%00&b=%ff", status=404)
    assert "Choose two traces" in read(shop.bob)


def test_strangers_compare_nothing(shop, two):
    assert shop.charlie.get(PAGE + f"?a={A}&b={B}").status_code == 404
    assert shop.nobody.get(PAGE).status_code == 302


def test_hostile_text_stays_text(shop, otlp):
    bad = "<img src=x onerror=alert(1)></del><script>x</script>"
    turn(otlp, A, "q", f"one {bad}")
    turn(otlp, B, "q", f"two {bad} \u202e")

    html = shop.bob.get(PAGE + f"?a={A}&b={B}").content.decode()

    assert "<img" not in html
    assert "<script>x" not in html
    assert "[U+202E]" in html


def test_the_number_of_queries_does_not_grow_with_the_traces(shop, otlp, two):
    def count(query):
        with CaptureQueriesContext(connection) as queries:
            read(shop.bob, query)
        return len(queries)

    small = count(f"?a={A}&b={B}")
    for trace in (A, B):
        spans = [otlp.span(trace, f"{n:016x}", "1" * 16, f"s{n % 5}", at_ms=n) for n in range(100, 500)]
        otlp.send(*spans)

    assert count(f"?a={A}&b={B}") == small
    assert small <= 45  # each question brings its time limit and its savepoint along


def test_bodies_of_megabytes_stay_usable(shop, otlp):
    def big(seed):
        return "".join(f"{seed}{n} " for n in range(400_000))[:3_900_000]

    for trace, seed in ((A, "x"), (B, "y")):
        turn(otlp, trace, big(seed), "base64," + seed * 3_000_000)

    began = time.perf_counter()
    html = read(shop.bob, f"?a={A}&b={B}")
    took = time.perf_counter() - began

    assert len(html) < 1_000_000
    assert "Only the beginning of this text was compared" in html
    assert took < 5  # measured 0.5 s alone on two cores


def test_thousands_of_spans_are_cut_and_said(shop, otlp):
    for trace in (A, B):
        otlp.send(
            otlp.span(trace, "1" * 16, name="turn"),
            *[otlp.span(trace, f"{n:016x}", "1" * 16, f"s{n}", at_ms=n) for n in range(100, 1600)],
        )

    assert "the first 300 lines" in read(shop.bob, f"?a={A}&b={B}")


def test_rest_compares_the_same(shop, two):
    headers = shop.key("read")

    told = shop.nobody.get(f"/api/v1/compare?a={A}&b={B}", headers=headers).json()

    assert told["a"]["trace"]["trace_id"] == A
    assert told["b"]["span_id"] == "2" * 16
    assert {fact["key"] for fact in told["facts"] if fact["is_different"]} >= {"models", "prompt", "cost_usd", "spans"}
    assert [(step["name_a"], step["name_b"]) for step in told["steps"]] == [
        ("turn", "turn"), ("chat gpt-4o-mini", "chat gpt-4o"), (None, "check"),
    ]  # fmt: skip
    answer = told["said"][-1]
    assert answer["state"] == "changed"
    assert {"op": "gone", "text": "30"} in answer["a"]
    assert {"op": "new", "text": "60"} in answer["b"]


def test_rest_says_what_is_missing(shop, two):
    headers = shop.key("read")

    assert shop.nobody.get("/api/v1/compare?a=x", headers=headers).status_code == 404
    answer = shop.nobody.get(f"/api/v1/compare?a={A}", headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "b")
