"""The performance page in Chromium: readable for everybody, in light and dark and on a phone."""

from __future__ import annotations

import json
import re
import time
import urllib.request

import pytest

from telltale.projects.models import Project
from traces import folding
from traces.write import rollup_memory

pytestmark = pytest.mark.browser
LOOKS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}


@pytest.fixture
def project(alice):
    """alice's project."""
    return Project.objects.get(slug="shop")


def attribute(name, value):
    return {"key": name, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}}


def host_points(now):
    points = [
        {"timeUnixNano": str(now - minute * 60 * 10**9), "asDouble": 0.4 + minute / 100} for minute in range(40)
    ]
    metric = {"name": "DCGM_FI_PROF_SM_ACTIVE", "gauge": {"dataPoints": points}}
    resource = {"attributes": [attribute("host.name", "gpu-1")]}
    return {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric]}]}]}


def calls(now):
    spans = [
        {
            "traceId": f"{n + 1:032x}", "spanId": f"{n + 1:016x}", "name": "chat",
            "startTimeUnixNano": str(now - n * 60 * 10**9),
            "endTimeUnixNano": str(now - n * 60 * 10**9 + 10**9 + n * 10**7),
            "status": {"code": 2 if n == 3 else 0},
            "attributes": [
                attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.response.model", "gpt-4o-mini"),
                attribute("gen_ai.usage.input_tokens", 100), attribute("gen_ai.usage.output_tokens", 10 + n),
                attribute("telltale.feature", "<script>alert(1)</script>" if n == 5 else "search"),
            ],
        }
        for n in range(45)
    ]  # fmt: skip
    return {"resourceSpans": [{"scopeSpans": [{"scope": {"name": "t"}, "spans": spans}]}]}


def post(live, key, path, body):
    request = urllib.request.Request(
        live + path,
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {key.secret}"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("look", LOOKS)
def test_the_page_is_readable_for_everybody(live, key, project, alice, chromium, axe, look):
    now = time.time_ns() - 60 * 10**9
    post(live, key, "/v1/traces", calls(now))
    post(live, key, "/v1/metrics", host_points(now))
    rollup_memory.forget()
    folding.fold_roll_ups()
    context = chromium.new_context(base_url=live, **LOOKS[look])
    page = context.new_page()
    troubles = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    page.goto("/accounts/login/")
    page.fill("input[name=login]", alice.email)
    page.fill("input[name=password]", alice.typed_password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda address: "login" not in address)
    page.goto(f"/p/{project.slug}/performance/?t=1h")
    assert page.locator("h1").inner_text().startswith("Half of requests end within")
    assert page.locator("figure.chart").count() == 6
    assert page.get_by_text(re.compile("GPU busy: at most 7[6-9]% on gpu-1")).first.is_visible()
    page.get_by_text("Show as a table").first.click()
    assert axe(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= LOOKS[look]["viewport"]["width"]
    page.goto(f"/p/{project.slug}/performance/?t=1h&feature=none-such")
    assert page.get_by_text("Nothing matches these filters in this window").is_visible()
    assert axe(page) == []
    assert troubles == []
    context.close()
