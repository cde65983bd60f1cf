"""Traces in a real browser: filter, open, choose a span; light, dark, phone, without scripts; hostile text."""

from __future__ import annotations

import json
import re
import time

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import LOOKS, forget_stored

pytestmark = pytest.mark.django_db(transaction=True)
TRACE, ODD, MANY, HOSTILE = (f"{n:032x}" for n in (1, 2, 3, 4))
PAGE = "/p/shop/traces/"
ATTACK = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202e{{7*7}}"
START = time.time_ns() - 600 * 10**9


def value(given):
    name = {bool: "boolValue", int: "intValue", float: "doubleValue"}.get(type(given), "stringValue")
    return {name: str(given) if name == "intValue" else given}


def span(trace, span_id, parent=None, name="step", *, at_ms=0, ms=100, attributes=None, **more):
    start = START + int(at_ms * 10**6)
    made = {
        "traceId": trace,
        "spanId": span_id,
        "name": name,
        "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + int(ms * 10**6)),
        "attributes": [{"key": k, "value": value(v)} for k, v in (attributes or {}).items()],
        **more,
    }
    return made | ({"parentSpanId": parent} if parent else {})


def call(trace, span_id, parent=None, name="chat", said="hello", answered="hi", **more):
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.provider.name": "openai",
        "gen_ai.usage.input_tokens": 500,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": [{"type": "text", "content": said}]}]),
        "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": answered}]}]),
    } | more.pop("attributes", {})
    return span(trace, span_id, parent, name, attributes=attributes, **more)


def send(key, *made, **resource):
    body = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": k, "value": value(v)} for k, v in resource.items()]},
                "scopeSpans": [{"scope": {"name": "browser"}, "spans": list(made)}],
            }
        ]
    }
    answer = Client().post("/v1/traces", body, "application/json", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200, answer.content


@pytest.fixture
def shop(alice):
    """The project with a turn, an odd trace, a long one and a hostile one."""
    forget_stored()
    key = keys.make_key(Project.objects.get(slug="shop"), "browser", ("ingest",)).secret
    root, tool, answer = "a" * 16, "b" * 16, "c" * 16
    send(
        key,
        span(
            TRACE, root, name="turn", at_ms=9000, ms=4000, attributes={"telltale.feature": "returns", "user.id": "ada"}
        ),
        span(
            TRACE,
            tool,
            root,
            "orders.lookup",
            at_ms=9100,
            ms=300,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "orders.lookup",
                "error.type": "HTTPError",
                "gen_ai.tool.call.arguments": '{"order": 7}',
            },
            status={"code": 2, "message": "503 from upstream"},
        ),
        span(
            TRACE,
            "e" * 16,
            root,
            "policies.search",
            at_ms=9450,
            attributes={
                "openinference.span.kind": "RETRIEVER",
                "retrieval.documents.0.document.content": "Unopened items only.",
                "retrieval.documents.0.document.score": 0.58,
            },
        ),
        call(
            TRACE,
            answer,
            root,
            "answer.generate",
            said="May I return a gift?",
            answered="Yes, you may.",
            at_ms=9600,
            ms=3000,
        ),
        **{"service.name": "shop-api", "deployment.environment.name": "production"},
    )
    send(
        key,
        span(ODD, "1" * 16, "1" * 16, "own parent"),
        span(ODD, "2" * 16, "3" * 16, "left", at_ms=1),
        span(ODD, "3" * 16, "2" * 16, "right", at_ms=2),
        span(ODD, "4" * 16, "9" * 16, "lost", at_ms=3),
    )
    send(
        key, *(span(MANY, f"{k + 16:016x}", f"{k + 15:016x}" if k else None, f"level {k}", at_ms=k) for k in range(450))
    )
    send(
        key,
        call(
            HOSTILE,
            "d" * 16,
            None,
            ATTACK,
            said=ATTACK,
            answered=ATTACK,
            attributes={
                "user.id": ATTACK,
                "telltale.feature": ATTACK,
                "gen_ai.response.model": ATTACK,
                "error.type": ATTACK,
                ATTACK: ATTACK,
            },
            status={"code": 2, "message": ATTACK},
        ),
        **{"service.name": ATTACK, ATTACK: ATTACK},
    )
    return alice


def chosen(page):
    return page.locator("#span-name").inner_text()


@pytest.mark.parametrize("look", LOOKS)
def test_every_trace_page_is_accessible_and_fits(enter, look):
    page = enter(PAGE, **LOOKS[look])
    paths = [PAGE, PAGE + "?feature=returns&status=error", PAGE + "?feature=none&q=zz", PAGE + "?cost.min=x&sort=x"]
    paths += [
        f"{PAGE}{TRACE}/{query}"
        for query in (
            "",
            "?tab=attributes",
            "?tab=raw",
            "?view=chat",
            f"?span={'b' * 16}",
            f"?span={'e' * 16}&tab=sources",
        )
    ]
    paths += [f"{PAGE}{trace}/" for trace in (ODD, MANY, HOSTILE)] + [f"{PAGE}{HOSTILE}/?tab=attributes"]

    for path in paths:
        page.goto(path)
        found = Axe().run(page).response["violations"]
        assert not found, (path, [(v["id"], [n["html"] for n in v["nodes"][:3]]) for v in found])
        assert page.locator("h1").count() == 1, path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"


def test_a_facet_applies_at_once_and_a_chip_takes_it_back(enter):
    page = enter(PAGE)
    assert page.locator("tbody tr").count() >= 4

    page.check("input[name=feature][value=returns]")
    page.wait_for_url("**feature=returns**")
    assert page.locator("a.rowlink").all_inner_texts() == ["May I return a gift?"]

    page.click("a[aria-label^='Remove filter Feature']")
    page.wait_for_url(lambda url: "feature" not in url)
    page.go_back()
    assert page.locator("a.rowlink").count() == 1


def test_a_filter_is_added_by_the_form(enter):
    page = enter(PAGE)

    page.click("summary:has-text('Filter')")
    page.select_option("#fd", "duration_ms")
    page.select_option("#fo", "min")
    page.fill("#fv", "3500")
    page.click("button:has-text('Add filter')")

    page.wait_for_url("**duration_ms.min=3500**")
    assert page.locator("a.rowlink").all_inner_texts() == ["May I return a gift?"]
    assert page.locator(".chip").inner_text().split() == ["Duration", "at", "least", "3500", "ms"]


def test_the_list_is_walked_by_keyboard(enter):
    page = enter(PAGE)

    page.keyboard.press("j")
    page.keyboard.press("Enter")

    page.wait_for_selector("#span-name")
    assert "May I return a gift?" in page.locator("h1").inner_text()
    page.keyboard.press("j")
    page.wait_for_url(lambda url: TRACE not in url)


def test_a_chosen_span_swaps_the_panel_alone(enter):
    page = enter(f"{PAGE}{TRACE}/")
    page.evaluate("window.same = true")
    assert chosen(page) == "answer.generate"

    page.click("a.nm:has-text('orders.lookup')")
    page.wait_for_selector("#span-name:has-text('orders.lookup')")

    assert page.evaluate("window.same")
    assert "503 from upstream" in page.locator("#span").inner_text()
    assert re.search(rf"span={'b' * 16}", page.url)
    assert page.locator("tr.sel .t").inner_text() == "orders.lookup"

    page.click("nav.tabs a:has-text('Attributes')")
    page.wait_for_selector("#span h3:has-text('Identity')")
    assert page.evaluate("window.same")
    page.reload()
    assert chosen(page) == "orders.lookup"
    page.evaluate("history.back()")
    page.wait_for_selector("nav.tabs a[aria-current]:has-text('Call')")
    page.evaluate("history.back()")
    page.wait_for_selector("#span-name:has-text('answer.generate')")


def test_arrow_keys_go_from_span_to_span(enter):
    page = enter(f"{PAGE}{TRACE}/")

    page.focus("a.nm >> nth=0")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    page.wait_for_selector("#span-name:has-text('orders.lookup')")


def test_a_long_trace_shows_more_on_demand(enter):
    page = enter(f"{PAGE}{MANY}/?span={16:016x}")
    assert page.locator("a.nm").count() == 300

    page.click("tr.more a")
    page.wait_for_selector("a.nm >> nth=449")

    page.click("a.nm >> nth=449")
    page.wait_for_selector("#span-name:has-text('level 449')")


def test_everything_reads_without_scripts(enter):
    page = enter(PAGE, java_script_enabled=False)

    page.click("a.rowlink:has-text('May I return a gift?')")
    assert chosen(page) == "answer.generate"
    page.click("a.nm:has-text('policies.search')")
    assert chosen(page) == "policies.search"
    page.click("nav.tabs a:has-text('Sources')")
    assert "Unopened items only." in page.locator("#span").inner_text()
    page.click("nav.seg a:has-text('Chat')")
    assert "Yes, you may." in page.locator(".chat").inner_text()


def test_hostile_text_runs_nowhere_even_without_the_policy(enter):
    page = enter(PAGE, bypass_csp=True)
    paths = [
        PAGE,
        *(f"{PAGE}{HOSTILE}/{query}" for query in ("", "?tab=attributes", "?tab=raw", "?view=chat", "?tab=sources")),
    ]

    for path in paths:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        assert "owned" not in page.title()
        assert page.locator("img").count() == 0
        assert page.locator("script:not([src])").count() == 0
        assert "{{7*7}}" in page.locator("main").inner_text()
