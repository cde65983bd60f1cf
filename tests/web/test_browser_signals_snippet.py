"""The snippet of docs/signals.md in a real browser, on a page of another origin, against the real server."""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from telltale.projects import keys
from telltale.projects.models import Project
from tests.traces.signal_door import TRACE, rows

pytestmark = pytest.mark.django_db(transaction=True)
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "signals.md"
SNIPPET_MAX_BYTES = 2048


def snippet():
    return re.findall(r"```js\n(.*?)```", DOCS.read_text(), re.DOTALL)[0]


def filled(live, key):
    """The snippet as somebody pastes it: with their address and key."""
    text = snippet()
    for placeholder, value in (("https://telltale.example", live), ("tt_pk_…", key)):
        assert text.count(placeholder) == 1
        text = text.replace(placeholder, value)
    return text


@pytest.fixture
def project(alice):
    return Project.objects.get(slug="shop")


@pytest.fixture
def pages():
    """A server of somebody's shop: `pages.script` is what its page runs; `pages.at("localhost")` is its origin."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            raw = f"<!doctype html><title>Shop</title><h1>Shop</h1><script>{server.script}</script>".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    server.script = ""
    server.at = lambda host: f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def wait_for(page, project, wanted, *columns):
    """Wait until the stored signals are these; the browser goes on meanwhile."""
    for _ in range(100):
        found = rows(project.pk, *columns)
        if found == wanted:
            return
        page.wait_for_timeout(50)
    assert found == wanted


def test_the_snippet_is_small_and_stands_on_nothing():
    text = snippet()

    assert len(text.encode()) <= SNIPPET_MAX_BYTES
    assert not re.search(r"\b(import|require|eval)\b", text)


def test_the_snippet_sends_toggles_tries_again_and_sends_the_last_while_the_page_closes(live, project, chromium, pages):
    made = keys.make_key(project, "page", ("signal",), origins=(pages.at("127.0.0.1"),))
    pages.script = filled(live, made.key.public_part)
    context = chromium.new_context()
    page = context.new_page()
    said, answers = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("response", lambda answer: answers.append(answer.status) if "/signals" in answer.url else None)
    address = f"{live}/api/v1/signals"
    about = {"trace_id": TRACE, "user_id": "u7"}

    def tell(name, **more):
        page.evaluate("([name, about]) => telltale(name, about)", [name, about | more])

    page.goto(pages.at("127.0.0.1"))
    page.route(address, lambda route: route.abort(), times=1)
    tell("thumbs_up")
    # The first attempt fails on the way; the page tries again by itself.
    wait_for(page, project, [("thumbs_up", 1, "u7")], "name", "vote", "author")
    tell("thumbs_down", comment="Wrong 👎" * 1000)
    wait_for(page, project, [("thumbs_down", -1, 2)], "name", "vote", "revision")
    tell("copied")
    tell("retry")
    page.goto("about:blank")
    wait_for(page, project, ["thumbs_down", "copied", "retry"], "name")
    context.close()

    assert said == ["Failed to load resource: net::ERR_FAILED"]
    assert set(answers) == {200}
    assert len(rows(project.pk, "comment")[0].encode("utf-16-le")) == 2 * 1500


def test_a_page_of_another_origin_is_refused_whichever_way_it_sends(live, project, chromium, pages):
    made = keys.make_key(project, "page", ("signal",), origins=(pages.at("127.0.0.1"),))
    pages.script = filled(live, made.key.public_part)
    context = chromium.new_context()
    page = context.new_page()
    statuses = []
    page.on("response", lambda answer: statuses.append(answer.status) if "/signals" in answer.url else None)
    fetching = """([url, key]) => fetch(url, {
        method: "POST", headers: {"Authorization": `Bearer ${key}`, "Content-Type": "application/json"},
        body: '{"name": "copied", "session_id": "s"}',
    }).then((answer) => answer.json().then((told) => [answer.status, told.accepted]), (error) => error.name)"""
    address = [f"{live}/api/v1/signals", made.secret]

    page.goto(pages.at("127.0.0.1"))
    assert page.evaluate(fetching, address) == [200, 1]
    page.goto(pages.at("localhost"))
    assert page.evaluate(fetching, address) == "TypeError"
    # No preflight stands before what the snippet sends: the answer itself is refused, and the page may not read it.
    with page.expect_console_message(lambda message: "Access-Control-Allow-Origin" in message.text):
        page.evaluate("telltale('thumbs_up', {trace_id: 'ab'.repeat(16)})")
    context.close()

    assert statuses == [200]
    assert rows(project.pk) == ["copied"]
