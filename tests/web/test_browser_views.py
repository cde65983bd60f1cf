"""The trace list's menus in a real browser: views, columns, filters of calls and metadata, files that readers leave."""

from __future__ import annotations

import http.client
import json
import time
from urllib.parse import urlsplit

import pytest
from django.test import Client

from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import LOOKS, forget_stored, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/p/shop/traces/"


@pytest.fixture
def shop(alice):
    """Thirty traces of two plans, each third with a tool that failed."""
    forget_stored()
    key = keys.make_key(Project.objects.get(slug="shop"), "browser", ("ingest",)).secret
    made = []
    for n in range(1, 31):
        start = time.time_ns() - 600 * 10**9 + n * 10**9
        metadata = json.dumps({"plan": "free" if n % 2 else "plus", "cart": n})
        for span_id, parent, name, attributes, failed in (
            (f"{n:016x}", "", f"turn {n}", {"openinference.span.kind": "CHAIN", "metadata": metadata}, False),
            (f"{n + 100:016x}", f"{n:016x}", "pay", {"openinference.span.kind": "TOOL"}, n % 3 == 0),
        ):
            made.append({
                "traceId": f"{n:032x}", "spanId": span_id, "parentSpanId": parent, "name": name,
                "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 10**8),
                "status": {"code": 2 if failed else 0},
                "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items()],
            })  # fmt: skip
    body = {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "openinference.test"}, "spans": made}]}]}
    answer = Client().post("/v1/traces", body, "application/json", headers={"Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.content) == (200, b"{}")
    return alice


@pytest.mark.parametrize("look", LOOKS)
def test_menus_open_within_the_page_and_hold_the_accessibility_bar(chromium, live, shop, axe, look):
    context = chromium.new_context(base_url=live, **LOOKS[look])
    page = context.new_page()
    page.goto("/accounts/login/")
    sign_in(page, shop)
    page.goto(PAGE + "?call.kind=tool&call.status=error&meta.plan=free&columns=time,said,user,session,feature,trace_id")
    assert "5 calls in 5 traces" in page.inner_text("main")

    for summary in ("Views", "Columns", "Filter"):
        page.locator("main summary", has_text=summary).first.click()
        box = page.locator("main details.pop[open] > div").bounding_box()
        width = page.evaluate("document.documentElement.clientWidth")
        assert box["x"] >= 0, summary
        assert box["x"] + box["width"] <= width, summary
        assert axe(page) == [], summary
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Escape")
    page.goto(PAGE + "views/")
    assert axe(page) == []
    page.goto(PAGE + "?call.kind=tool&meta.plan=none")
    assert "Drop Metadata plan none" in page.inner_text("main")
    assert axe(page) == []
    context.close()


def test_a_view_is_saved_opened_first_and_left_again(page, shop):
    page.goto("/accounts/login/")
    sign_in(page, shop)
    page.goto(PAGE)
    page.locator("main summary", has_text="Filter").click()
    page.select_option("#fd", "meta")
    page.fill("#fk", "plan")
    page.fill("#fv", "free")
    page.click("text=Add filter")
    page.wait_for_url("**/?meta.plan=free")
    page.locator("main summary", has_text="Columns").click()
    page.check("main input[name=columns][value=spans]")
    page.click("text=Show these columns")
    page.locator("main summary", has_text="Views").click()
    page.fill("#vn", "Free plan")
    page.check("input[name=is_default]")
    page.click("text=Save view")
    page.wait_for_load_state()

    page.goto(PAGE)
    assert "meta.plan=free" in page.url
    assert "Spans" in page.inner_text("table.traces thead")
    assert page.locator("table.traces tbody tr").count() == 15

    page.click("text=Clear all")
    page.wait_for_load_state()
    assert page.locator("table.traces tbody tr").count() == 30
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/traces/*/**")
    assert f"{29:032x}" in page.url


def test_columns_keep_their_widths_from_page_to_page(page, shop):
    page.goto("/accounts/login/")
    sign_in(page, shop)

    def widths(query):
        page.goto(PAGE + query)
        return page.eval_on_selector_all("table.traces thead th", "all => all.map(one => one.offsetWidth)")

    assert widths("?view=all") == widths("?name=turn+3") == widths("?sort=-duration")


def test_all_of_it_reads_without_scripts(chromium, live, shop):
    context = chromium.new_context(base_url=live, java_script_enabled=False)
    page = context.new_page()
    page.goto("/accounts/login/")
    sign_in(page, shop)
    page.goto(PAGE)
    page.locator("main summary", has_text="Columns").click()
    page.locator("main input[name=columns][value=user]").check()
    page.click("text=Show these columns")

    assert "User" in page.inner_text("table.traces thead")
    context.close()


def test_a_reader_who_goes_frees_a_place_for_the_next(page, live, shop):
    """More downloads than there are places, each left in the middle: the last one still comes whole."""
    page.goto("/accounts/login/")
    sign_in(page, shop)
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    parts = urlsplit(live)
    for _ in range(12):
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)
        link.request("GET", PAGE + "?format=ndjson", headers={"Cookie": cookie})
        reply = link.getresponse()
        assert reply.status == 200
        reply.read(10)
        link.close()
    whole = page.request.get(PAGE + "?format=ndjson")

    assert whole.status == 200
    assert len(whole.text().splitlines()) == 30
