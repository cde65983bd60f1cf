"""What keeps a sender's text from becoming markup, read from the code itself: a new way round has to be named here."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("platform", "traces", "evals", "alerts")
# Where HTML is put together in Python, every text through `text()` or `html.escape`. The browser test opens them all.
MADE_IN_PYTHON = {
    "platform/telltale/web/templatetags/telltale_charts.py",
    "traces/pages/session_turns.py",
    "traces/pages/signal_columns.py",
    "traces/pages/lists.py",
    "traces/pages/columns.py",
    "evals/pages/scores.py",
}
# Scripts that put a page's own words, or an answer of this server, back as markup.
MARKUP_IN_SCRIPTS = {"inbox.js": 1, "triage.js": 1}


def python_files() -> list[Path]:
    return [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]


def test_markup_is_marked_safe_in_named_files_alone():
    marks = re.compile(r"\b(?:mark_safe|SafeString|SafeText)\(|__html__|safestring import [^\n]*mark_safe")
    found = {str(path.relative_to(ROOT)) for path in python_files() if marks.search(path.read_text())}

    assert found == MADE_IN_PYTHON


def test_templates_escape_everything_and_run_nothing():
    templates = [*(ROOT / "templates").rglob("*.html")]
    templates += [path for room in ROOMS for path in (ROOT / room).rglob("*.html")]
    wrong = []
    for path in templates:
        text = path.read_text()
        for name, pattern in {
            "safe": r"\|\s*(?:safe|safeseq)\b",
            "autoescape": r"{%\s*autoescape\s+off",
            "handler": r"<[^>%{]+\son[a-z]+\s*=",
            "hx-on": r"\bhx-on|\bhx-vals=[\"']js:|hx-vars",
            "style": r"<style\b|<[^>%{]+\sstyle\s*=",
            "inline script": r"<script(?![^>]*\bsrc=)(?![^>]*application/json)",
            "outside": r"\b(?:src|href|action)=[\"'](?:https?:)?//",
            "javascript:": r"javascript:",
            "frame": r"<(?:iframe|object|embed|base)\b",
        }.items():
            if re.search(pattern, text, re.IGNORECASE):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")

    assert len(templates) > 150
    assert wrong == []


def test_links_to_what_a_sender_named_open_nothing_of_ours():
    """A link elsewhere says where it goes to nobody and gets no hand on our window."""
    wrong = []
    for path in (ROOT / "templates").rglob("*.html"):
        for link in re.findall(r"<a\b[^>]*\starget=[^>]*>", path.read_text()):
            if "noopener" not in link or "noreferrer" not in link:
                wrong.append(f"{path.relative_to(ROOT)}: {link}")

    assert wrong == []


def test_our_scripts_write_text():
    pattern = r"\.innerHTML\s*=|insertAdjacentHTML|outerHTML\s*=|document\.write|\beval\(|new Function|DOMParser"
    found = {}
    for path in (ROOT / "platform/telltale/static/js").glob("*.js"):
        if count := len(re.findall(pattern, path.read_text())):
            found[path.name] = count

    assert found == MARKUP_IN_SCRIPTS


def test_nothing_but_the_one_client_opens_a_connection_to_an_address_that_people_enter():
    """`telltale.lib.egress` alone, which checks every address at every connection."""
    allowed = (
        "platform/telltale/lib/egress.py",
        "platform/telltale/run/",  # the demo and the start of the product: this machine
        "platform/telltale/accounts/smtp.py",  # the operator's mail server, by the environment alone
        "alerts/delivering.py",  # names the errors of that talk
        "platform/telltale/accounts/oidc.py",  # an adapter that sends by egress
    )
    client = re.compile(
        r"^\s*(?:import|from)\s+(?:requests|httpx|aiohttp|urllib3|urllib\.request|http\.client|ftplib|smtplib)\b|"
        r"socket\.create_connection|urlopen\(",
        re.MULTILINE,
    )
    wrong = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if client.search(path.read_text()) and not str(path.relative_to(ROOT)).startswith(allowed)
    ]

    assert wrong == []
