"""What the documentation shows works as it is shown."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import telltale_sdk as telltale
from telltale.lib import clock
from telltale.projects.snippets import snippets

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("docs/sdk.md", "sdk/python/README.md", "docs/sending-traces.md", "docs/getting-started.md")


def blocks():
    for page in PAGES:
        for number, code in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)):
            if "telltale_sdk" in code:
                yield pytest.param(code, id=f"{page}-{number}")


@pytest.mark.parametrize("code", list(blocks()))
def test_each_example_runs_and_arrives(code, receiver, sdk, monkeypatch):
    monkeypatch.setenv("TELLTALE_ENDPOINT", receiver.url)
    monkeypatch.setenv("TELLTALE_API_KEY", "tt_sk_test")
    sdk()
    code = code.replace("http://127.0.0.1:8000", receiver.url)
    reply = SimpleNamespace(text="Within 30 days.", usage={"prompt_tokens": 3, "completion_tokens": 4})

    exec(compile(code, "example", "exec"), {"call_the_model": lambda question: reply})
    with telltale.observe_span("after"):
        pass

    assert telltale.flush(10)
    assert telltale.stats().spans_sent == telltale.stats().spans_ended >= 1
    assert telltale.stats().troubles <= ("thumbs_down" in code)


def test_the_snippet_of_the_welcome_page_arrives(receiver):
    [code] = [s.code for s in snippets(receiver.url, "tt_sk_test", clock.now()) if s.key == "sdk"]

    exec(compile(code, "snippet", "exec"), {})

    assert telltale.flush(10)
    [span] = receiver.spans
    assert span.attributes["user.id"] == "u-1"
    assert span.attributes["gen_ai.request.model"] == "gpt-4o-mini"


def test_every_public_name_is_documented():
    told = (ROOT / "docs" / "sdk.md").read_text()
    missing = [
        name for name in telltale.__all__ if name not in told and name not in ("Setting", "Stats", "__version__")
    ]
    methods = [name for name in vars(telltale.Span) if not name.startswith("_") and name not in told]

    assert missing == []
    assert set(methods) <= {"kind", "name", "is_recording"}
