"""The page of one trace where the trace is hostile, broken or huge."""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import quote

import orjson
import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from traces.canonical.content import INPUT_KEYS, OUTPUT_KEYS, build_content
from traces.canonical.types import Kind, SpanFlag, Vocabulary
from traces.pages import waterfall
from traces.pages.content import PANEL_MAX, message_key, view_content, view_messages

pytestmark = pytest.mark.django_db
TRACE = "0" * 31 + "1"
PAGE = f"/p/shop/traces/{TRACE}/"
ROOT, CALL, TOOL, FIND = "a" * 16, "b" * 16, "c" * 16, "d" * 16
HOSTILE = "<script>alert(1)</script>\u202egnp\x07<img src=x onerror=alert(2)>{{7*7}}'\""


def read(client, path=PAGE, status=200, **headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, answer.content[:500]
    return unescape(answer.content.decode())


def names(html):
    return re.findall(r'<span class="t">([^<]*)</span>', html)


def test_orphans_circles_and_own_parents_open_and_say_so(shop, otlp):
    otlp.send(
        otlp.span(TRACE, ROOT, ROOT, "own"),
        otlp.span(TRACE, CALL, TOOL, "left", at_ms=1),
        otlp.span(TRACE, TOOL, CALL, "right", at_ms=2),
        otlp.span(TRACE, FIND, "e" * 16, "lost", at_ms=3),
    )

    html = read(shop.bob)

    assert names(html) == ["own", "left", "right", "lost"]
    assert "parent missing" in html
    assert "form a circle" in html
    assert "has not arrived" in html


def test_hostile_text_is_text_in_every_place(shop, otlp):
    attributes = dict.fromkeys(
        (
            "user.id",
            "session.id",
            "telltale.feature",
            "gen_ai.prompt.name",
            "gen_ai.response.model",
            "gen_ai.request.model",
            "gen_ai.provider.name",
            "gen_ai.agent.name",
            "gen_ai.tool.name",
            "error.type",
            "langfuse.trace.tags",
            HOSTILE,
            "gen_ai.response.id",
        ),
        HOSTILE,
    )
    otlp.send(
        otlp.generation(
            TRACE,
            CALL,
            name=HOSTILE,
            said=HOSTILE,
            answered=HOSTILE,
            attributes=attributes,
            status={"code": 2, "message": HOSTILE},
            events=[{"name": HOSTILE, "attributes": [{"key": HOSTILE, "value": {"stringValue": HOSTILE}}]}],
        ),
        scope=HOSTILE,
        resource={HOSTILE: HOSTILE, "service.name": HOSTILE, "deployment.environment.name": HOSTILE},
    )

    for path in (
        PAGE,
        PAGE + "?tab=attributes",
        PAGE + "?tab=sources",
        PAGE + "?tab=raw",
        PAGE + "?view=chat",
        "/p/shop/traces/",
        "/p/shop/traces/?q=" + quote(HOSTILE),
        "/p/shop/traces/?user=" + quote(HOSTILE),
    ):
        answer = shop.bob.get(path)
        html = answer.content.decode()
        # Fields of forms must send back what they got; what a reader sees holds marks.
        seen = re.sub(r' value="[^"]*"', "", html)

        assert answer.status_code == 200
        assert "<script>alert" not in html
        assert "<img src=x" not in html
        assert "{{7*7}}" in html
        at = seen.find("\u202e")
        assert at < 0, seen[at - 80 : at]
        assert "\x07" not in seen


def test_large_texts_are_cut_and_say_so(shop, otlp):
    otlp.send(otlp.generation(TRACE, CALL, said="A" * 3_000_000, answered="B" * 50))

    html = read(shop.bob)

    assert len(html) < 400_000
    assert "the first 20,000 of 3.0 million characters" in html
    assert "B" * 50 in html


def insert_many(project, n, parent):
    """A trace of `n` spans, straight into the tables."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO traces_span (project_id, trace_id, span_id, started_at, batch_id, origin_id, kind, otel_kind,
                status, flags, counted, name, parent_span_id, duration_ns)
            SELECT %s, %s, k + 1, now() + k * interval '1 ms', 1, 1, 0, 1, 0, 0, false, 'step.' || k %% 40, {parent},
                5000000
            FROM generate_series(0, {n - 1}) k""",
            [project.pk, TRACE],
        )
        cursor.execute(
            """UPDATE traces_trace SET last_started_at = now() + interval '1 day', span_count = %s, root_span_id = 1
            WHERE project_id = %s""",
            [n, project.pk],
        )


@pytest.mark.parametrize(
    ("n", "parent"),
    [
        (20_000, "CASE WHEN k > 0 THEN 1 END"),
        (3000, "CASE WHEN k > 0 THEN k END"),
        (20_000, "CASE WHEN k > 0 THEN (k - 1) / 9 + 1 END"),
    ],
    ids=["wide", "deep", "bushy"],
)
def test_a_huge_trace_opens_with_its_first_lines(shop, otlp, n, parent):
    otlp.send(otlp.span(TRACE, "f" * 16, name="first"))
    insert_many(shop.project, n, parent)

    html = read(shop.bob)

    assert len(names(html)) <= waterfall.SLICE
    assert len(html) < 600_000
    more = re.search(r'hx-get="(\?from=\d+[^"]*)"', html)
    if more:
        part = read(shop.bob, PAGE + more[1], **{"HX-Request": "true", "HX-Target": "more-300"})
        assert part.lstrip().startswith("<tr")
        assert names(part)


def test_a_span_deep_in_a_huge_trace_is_in_sight_when_chosen(shop, otlp):
    otlp.send(otlp.span(TRACE, "f" * 16, name="first"))
    insert_many(shop.project, 3000, "CASE WHEN k > 0 THEN k END")

    html = read(shop.bob, PAGE + f"?span={2500:016x}")

    assert re.search(r'<tr class="sel"><th scope="row"><a class="nm d16', html)
    assert "level 2500" in html


def test_folds_open_by_their_address(shop, otlp):
    rows = [otlp.span(TRACE, f"{k + 16:016x}", ROOT, "row", at_ms=k) for k in range(60)]
    otlp.send(otlp.span(TRACE, ROOT, name="job", ms=900), *rows)

    folded = read(shop.bob)
    href = re.search(r'href="(\?open=[^"]+)"', folded)[1]
    opened = read(shop.bob, PAGE + href)

    assert "50 more “row” folded" in folded
    assert names(opened) == ["job", *["row"] * 60]


SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["role", "content", "parts", "type", "text", "tool_calls", "id", "name", "arguments"]),
                st.text(max_size=8),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        *INPUT_KEYS,
        *OUTPUT_KEYS,
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "retrieval.documents.0.document.content",
        "retrieval.documents.0.document.score",
        "llm.input_messages.0.message.role",
        "llm.input_messages.0.message.contents.0.message_content.image.image.url",
        "llm.prompt_template.variables",
        "llm.invocation_parameters",
    ]
)


@given(
    st.sampled_from(Kind),
    st.sampled_from(Vocabulary),
    st.dictionaries(KEYS, st.one_of(VALUES, VALUES.map(repr)), max_size=6),
    st.lists(st.fixed_dictionaries({"event_name": st.text(max_size=9), "body": VALUES, "attributes": st.just({})})),
)
def test_no_content_breaks_the_panel(kind, vocabulary, raw, logs):
    content = build_content(kind, vocabulary, raw, {}, [], logs, flags=int(SpanFlag.TRUNCATED))

    view = view_content(content)

    texts = [block.body.text for turn in view.turns for block in turn.blocks]
    assert sum(map(len, texts)) < 2 * PANEL_MAX
    assert len(view_messages(content.input_messages)) == len(content.input_messages)
    assert all(message_key(message) for message in content.output_messages)


@pytest.mark.parametrize(
    "message", [{"type": ["text"]}, {"type": {}, "text": "x"}, {"parts": [{"type": [1]}]}, [[]], 7]
)
def test_a_message_of_an_odd_shape_is_stored_and_opens(shop, otlp, message):
    body = orjson.dumps([message]).decode()
    otlp.send(otlp.generation(TRACE, CALL, attributes={"gen_ai.input.messages": body}))

    assert "hi there" in read(shop.bob)
