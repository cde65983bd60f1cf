"""The page of one trace, through the browser's door."""

from __future__ import annotations

import json
import re
from html import unescape
from urllib.parse import quote

import pytest

from traces.pages.waterfall import place_label
from traces.tree.scale import Bar

pytestmark = pytest.mark.django_db
TRACE = "0" * 31 + "1"
PAGE = f"/p/shop/traces/{TRACE}/"
ROOT, CALL, TOOL, FIND = "a" * 16, "b" * 16, "c" * 16, "d" * 16


def read(client, path=PAGE, status=200, **headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def names(html):
    return re.findall(r'<span class="t">([^<]*)</span>', html)


@pytest.fixture
def turn(shop, otlp):
    """A turn with a retrieval, a tool that failed and the answer."""
    otlp.send(
        otlp.span(
            TRACE,
            ROOT,
            name="turn",
            ms=4000,
            attributes={
                "telltale.feature": "returns",
                "user.id": "ada",
                "session.id": "s1",
                "gen_ai.prompt.name": "returns",
            },
        ),
        otlp.span(
            TRACE,
            FIND,
            ROOT,
            "policies.search",
            at_ms=100,
            ms=200,
            attributes={
                "openinference.span.kind": "RETRIEVER",
                "input.value": "gift",
                "retrieval.documents.0.document.id": "policy.md",
                "retrieval.documents.0.document.content": "Unopened items only.",
                "retrieval.documents.0.document.score": 0.58,
            },
        ),
        otlp.span(
            TRACE,
            TOOL,
            ROOT,
            "orders.lookup",
            at_ms=400,
            ms=100,
            attributes={
                "gen_ai.operation.name": "execute_tool",
                "gen_ai.tool.name": "orders.lookup",
                "error.type": "HTTPError",
                "gen_ai.tool.call.arguments": '{"user": "ada"}',
            },
            status={"code": 2, "message": "503 from upstream"},
            events=[
                {
                    "name": "exception",
                    "timeUnixNano": str(otlp.start_ns),
                    "attributes": [{"key": "exception.stacktrace", "value": {"stringValue": "Traceback: orders.py"}}],
                }
            ],
        ),
        otlp.generation(
            TRACE,
            CALL,
            ROOT,
            "answer.generate",
            at_ms=600,
            ms=3000,
            said="May I return a gift?",
            answered="Yes, within 60 days.",
            attributes={
                "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be kind. " * 30}]),
                "gen_ai.response.time_to_first_chunk": 0.4,
                "gen_ai.request.stream": True,
                "gen_ai.usage.cost": 0.5,
                "gen_ai.request.temperature": 0.2,
            },
        ),
        resource={"service.name": "shop-api"},
    )
    return shop


def test_the_page_answers_what_was_asked_said_and_spent(turn):
    html = read(turn.bob)

    assert "“May I return a gift?”" in html
    assert "4.00 s" in html
    assert "400 ms" in html
    assert "1,000 <small>in</small> 100 <small>out</small>" in html
    assert 'href="/p/shop/traces/?feature=returns">returns</a>' in html
    assert "The request succeeded, but 1 of its spans did not: HTTPError" in html
    assert names(html) == ["turn", "policies.search", "orders.lookup", "answer.generate"]
    assert "75% of the time is one model call." in html


def test_the_last_model_call_is_open_at_first(turn):
    html = read(turn.bob)

    assert 'id="span-name" class="break">answer.generate' in html
    assert "Yes, within 60 days." in html
    assert "Be kind." in html


def test_cost_is_shown_with_its_rates_beside_the_senders_own(turn):
    html = read(turn.bob, PAGE + f"?span={CALL}")

    assert re.search(r'<th scope="row">Input</th><td class="num">1,000</td><td class="num">0.15</td>', html)
    assert "Priced as gpt-4o-mini of openai by shipped price list" in html
    assert "reports $0.50" in html
    assert "more than ours" in html


def test_a_failed_span_shows_error_and_stack(turn):
    html = read(turn.bob, PAGE + f"?span={TOOL}")

    assert "503 from upstream" in html
    assert "Traceback: orders.py" in html
    assert '"user": "ada"' in html


def test_sources_come_with_scores(turn):
    html = read(turn.bob, PAGE + f"?span={FIND}&tab=sources")

    assert "Unopened items only." in html
    assert "score 0.58" in html
    assert "policy.md" in html


def test_attributes_and_raw_hold_everything(turn):
    attributes = read(turn.bob, PAGE + f"?span={CALL}&tab=attributes")
    raw = read(turn.bob, PAGE + f"?span={CALL}&tab=raw")

    assert "gen_ai.usage.input_tokens" in attributes
    assert "service.name" in attributes
    assert '"model_answered": "gpt-4o-mini"' in raw


def test_the_raw_download_is_never_shown_by_the_browser(turn):
    answer = turn.bob.get(PAGE + f"?span={CALL}&format=json")

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert json.loads(answer.content)["span_id"] == CALL


def test_the_chat_shows_each_message_once(turn):
    html = read(turn.bob, PAGE + "?view=chat")
    said = html[html.index('class="chat"') : html.index('id="span"')]

    assert said.count("May I return a gift?") == 1
    assert "Unopened items only." in said
    assert "orders.lookup" in said


def test_a_script_gets_the_panel_alone_and_a_reader_the_page(turn):
    part = read(turn.bob, PAGE + f"?span={TOOL}", **{"HX-Request": "true", "HX-Target": "span"})
    whole = read(turn.bob, PAGE + f"?span={TOOL}")

    assert part.lstrip().startswith('<section class="card panel" id="span"')
    assert "<html" not in part
    assert "<html" in whole
    assert "HX-Target" in turn.bob.get(PAGE)["Vary"]
    assert part.strip() in whole


@pytest.mark.parametrize("fragment", [{}, {"HX-Request": "true", "HX-Target": "span"}])
def test_strangers_get_no_part_of_it(turn, fragment):
    assert turn.charlie.get(PAGE + f"?span={CALL}", headers=fragment).status_code == 404


def test_ids_in_other_forms_lead_to_the_one_address(turn):
    other = "00000000-0000-0000-0000-000000000001"
    answer = turn.bob.get(f"/p/shop/traces/{other}/?span={CALL}")

    assert (answer.status_code, answer["Location"]) == (302, PAGE + f"?span={CALL}")


@pytest.mark.parametrize("address", ["f" * 32, "0" * 32, "nothing", quote("a/b", safe=""), "x" * 600, "%00", "½" * 16])
def test_what_is_no_trace_is_not_there(turn, address):
    assert turn.bob.get(f"/p/shop/traces/{address}/").status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "span=zz",
        "span=" + "9" * 16,
        "span=%00",
        "from=99999999",
        "from=-1",
        "tab=x",
        "view=x",
        "open=zz",
        "open=" + ROOT,
        "t=x&cost.min=x&sort=x&before=x",
        "from=soon&to=later",
    ],
)
def test_an_odd_address_still_opens_the_trace(turn, query):
    assert "answer.generate" in read(turn.bob, PAGE + "?" + query)


def test_a_fragment_of_a_span_that_is_not_there_is_404(turn):
    headers = {"HX-Request": "true", "HX-Target": "span"}
    assert turn.bob.get(PAGE + "?span=" + "9" * 16, headers=headers).status_code == 404
    assert turn.bob.get(PAGE + "?format=json&span=" + "9" * 16).status_code == 404


def test_newer_and_older_keep_the_filter(turn, otlp):
    for n in (2, 3, 4):
        feature = {"telltale.feature": "returns" if n != 3 else "other"}
        otlp.send(otlp.span(f"{n:032x}", f"{n:016x}", at_ms=n * 10_000, attributes=feature))

    html = read(turn.bob, f"/p/shop/traces/{2:032x}/?feature=returns&t=28d")

    assert f'rel="prev" href="/p/shop/traces/{4:032x}/?t=28d&feature=returns"' in html
    assert f'rel="next" href="{PAGE}?t=28d&feature=returns"' in html
    assert 'href="/p/shop/traces/?t=28d&feature=returns">Traces</a>' in html


def test_a_call_told_twice_says_which_one_counts(shop, otlp):
    outer = otlp.generation(TRACE, ROOT, name="outer", ms=500, attributes={"gen_ai.response.id": "r1"})
    inner = otlp.generation(TRACE, CALL, ROOT, name="inner", ms=400, attributes={"gen_ai.response.id": "r1"})
    otlp.send(outer, inner)

    loser = read(shop.bob, PAGE + f"?span={CALL}")
    winner = read(shop.bob, PAGE + f"?span={ROOT}")

    assert "Not counted" in loser
    assert f'href="?span={ROOT}"' in loser
    assert "Also reported by" in winner
    assert "1 span told again, counted once" in winner


def test_a_call_told_twice_is_one_model_call_and_opens_on_the_one_that_counts(shop, otlp):
    outer = otlp.generation(TRACE, ROOT, name="outer", ms=500, attributes={"gen_ai.response.id": "r1"})
    inner = otlp.generation(TRACE, CALL, ROOT, name="inner", ms=400, attributes={"gen_ai.response.id": "r1"})
    otlp.send(outer, inner)

    html = read(shop.bob)

    assert "1 model call<" in html
    assert "Not counted" not in html
    assert "Also reported by" in html


def test_instructions_that_are_among_the_messages_too_are_shown_once(shop, otlp):
    parts = [{"type": "text", "content": "You are terse."}]
    messages = [{"role": "system", "parts": parts}, {"role": "user", "parts": [{"type": "text", "content": "Why?"}]}]
    told = {"gen_ai.system_instructions": json.dumps(parts), "gen_ai.input.messages": json.dumps(messages)}
    otlp.send(otlp.generation(TRACE, CALL, attributes=told))

    html = read(shop.bob)

    assert html.count("You are terse.") == 1
    assert "Why?" in html


@pytest.mark.parametrize(
    ("bar", "placed"),
    [
        (Bar(0.0, 20.0), ("gpt-4o-mini", 20.0, "right")),
        (Bar(60.0, 40.0), ("gpt-4o-mini", 60.0, "left")),
        (Bar(24.0, 76.0), ("gpt-4o-m…", 24.0, "left")),
        (Bar(2.0, 97.0), ("", 0.0, "")),
    ],
)
def test_a_label_stays_beside_its_bar_and_inside_the_lane(bar, placed):
    assert place_label("gpt-4o-mini", bar) == placed


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"gen_ai.request.model": "home", "gen_ai.response.model": "home", "gen_ai.provider.name": "me"}, "not $0"),
        ({"gen_ai.usage.input_tokens": "", "gen_ai.usage.output_tokens": ""}, "usage unknown"),
        ({"gen_ai.input.messages": "", "gen_ai.output.messages": ""}, "Content not captured"),
    ],
)
def test_what_is_not_known_is_said(shop, otlp, attributes, words):
    otlp.send(otlp.generation(TRACE, CALL, attributes=attributes))

    html = read(shop.bob)

    assert words in html
    assert not re.search(r"\$0(?![.0-9])(?!\.)", html.replace("not $0", ""))


@pytest.mark.parametrize("n", [1, 60])
def test_the_number_of_queries_does_not_grow_with_the_spans(shop, otlp, django_assert_num_queries, n):
    spans = [otlp.generation(TRACE, f"{k + 1:016x}", at_ms=k) for k in range(n)]
    otlp.send(*spans)
    shop.bob.get(PAGE)

    # session, user, project, switcher; trace 4, steps 4, labels 4, neighbours 5, span with body and logs 6,
    # scores of the trace 4 and of the span 4, why it was judged or not 11, signals 4
    with django_assert_num_queries(56):
        assert shop.bob.get(PAGE).status_code == 200


@pytest.mark.parametrize(
    ("told", "value", "words"),
    [
        ([0.4], "400 ms", "of the model call"),
        ([0.4, None], "400 ms", "of the last call that told it"),
        ([0.4, 0.8], "800 ms", "of the last call that told it"),
        ([None, None], "unknown", "no call told it"),
    ],
)
def test_the_first_token_says_whose_it_is(shop, otlp, told, value, words):
    calls = []
    for number, seconds in enumerate(told):
        more = {} if seconds is None else {"attributes": {"gen_ai.response.time_to_first_chunk": seconds}}
        calls.append(otlp.generation(TRACE, f"{number + 1:016x}", ROOT, at_ms=100 * number, ms=1000, **more))
    otlp.send(otlp.span(TRACE, ROOT, name="turn", ms=4000), *calls)

    stat = read(shop.bob).partition("<dt>First token</dt>")[2].partition("</div>")[0]

    assert value in stat
    assert words in stat
