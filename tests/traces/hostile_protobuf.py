"""Hostile protobuf: text, values, shapes of trees, times, ids, bytes that are no message."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tests.traces.hostile_case import (
    BAD_UTF8,
    LOGS,
    LONG,
    METRICS,
    MIB,
    Case,
    one_span,
    trace_of,
)
from tests.traces.hostile_wire import (
    NOW_NS,
    array,
    attribute,
    block,
    deep,
    double,
    fixed64,
    kvlist,
    number,
    pair,
    request,
    span,
    text,
    varint,
)


def text_cases() -> Iterator[Case]:
    """Text that PostgreSQL, UTF-8 or an index refuses, in every field that holds text."""
    for label, bad in (
        ("bad utf-8", BAD_UTF8),
        ("nul", b"a\0b\0"),
        ("surrogate", b"\xed\xa0\x80 \xed\xb0\x80"),
        ("long", LONG.encode()),
        ("controls", b"\x01\x1b[31m\x7f\xe2\x80\xae\xe2\x80\x8b"),
        ("markup", b"<script>alert(1)</script>=cmd()"),
    ):
        places = {
            "name": {"name": bad},
            "key": {"attributes": attribute(bad, "x")},
            "value": {"attributes": attribute("input.value", text(bad))},
            "nested value": {"attributes": attribute("x", array(kvlist(pair(bad, text(bad)))))},
            "trace state": {"more": block(3, bad)},
            "status": {"more": block(15, block(2, bad) + number(3, 2))},
            "event": {"more": block(11, fixed64(1, NOW_NS) + block(2, bad) + block(3, pair(bad, text(bad))))},
            "exception": {
                "more": block(15, number(3, 2))
                + block(
                    11,
                    fixed64(1, NOW_NS)
                    + block(2, "exception")
                    + b"".join(
                        block(3, pair(f"exception.{key}", text(bad))) for key in ("type", "message", "stacktrace")
                    ),
                )
            },
            "link": {
                "more": block(
                    13, block(1, b"\1" * 16) + block(2, b"\2" * 8) + block(3, bad) + block(4, pair(bad, text(bad)))
                )
            },
        }
        for place, fields in places.items():
            name = f"{label} in {place}"
            yield Case(name, request(span(1, trace_of(name), **fields)), items=1, stored=1)
        for key in _INDEXED:
            yield one_span(f"{label} in {key}", attribute(key, text(bad)))
        for place in ("resource", "scope"):
            name = f"{label} in {place}"
            told = block(1, pair("service.name", text(bad))) if place == "resource" else block(1, bad) + block(2, bad)
            body = request(span(1, trace_of(name)), **{place: told})
            yield Case(name, body, items=1, stored=1)
    name = "schema url"
    group = block(2, block(2, span(1, trace_of(name))) + block(3, BAD_UTF8)) + block(3, BAD_UTF8)
    yield Case(name, block(1, group), items=1, stored=1)
    name = "one bad among good"
    spans = [span(n, trace_of(name), name=BAD_UTF8 if n == 2 else "good") for n in (1, 2, 3)]
    yield Case(name, request(*spans), items=3, stored=3)
    name = "one too deep among good"
    spans = [span(n, trace_of(name), attributes=attribute("x", deep(120)) if n == 2 else b"") for n in (1, 2, 3)]
    yield Case(name, request(*spans), items=3, stored=2)


_INDEXED = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "user.id",
    "session.id",
    "gen_ai.conversation.id",
    "gen_ai.provider.name",
    "gen_ai.operation.name",
    "gen_ai.response.id",
    "telltale.feature",
    "telltale.release",
    "deployment.environment.name",
    "service.name",
    "gen_ai.agent.name",
    "gen_ai.tool.name",
    "gen_ai.prompt.name",
    "error.type",
    "telltale.tags",
    "telltale.metadata",
    "gen_ai.workflow.name",
    "langfuse.user.id",
    "gen_ai.response.finish_reasons",
    "openinference.span.kind",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "langfuse.observation.usage_details",
    "llm.invocation_parameters",
    "mlflow.spanInputs",
    "tag.tags",
)


def values_cases() -> Iterator[Case]:
    """Numbers that are none, values that are huge, deep, empty, repeated."""
    for label, value in (
        ("nan", double(4, float("nan"))),
        ("infinity", double(4, float("inf"))),
        ("-infinity", double(4, float("-inf"))),
        ("1e308", double(4, 1e308)),
        ("denormal", double(4, 5e-324)),
        ("min int", number(3, -(2**63))),
        ("max int", number(3, 2**63 - 1)),
        ("minus one", number(3, -1)),
        ("bytes", block(7, bytes(range(256)))),
        ("no value", b""),
        ("empty text", text("")),
        ("true", number(2, 1)),
        ("huge digits", text("9" * 5_000)),
        ("words", text("many")),
        ("list", array(number(3, 1), text("x"))),
        ("map", kvlist(pair("a", number(3, 1)))),
        ("empty list", array()),
        ("empty map", kvlist()),
        ("max count", number(3, 10**12)),
        ("fraction", double(4, 1.5)),
        ("float text", text("1e400")),
        ("nan text", text("NaN")),
        ("full width digits", text("１２３")),
        ("superscript", text("²")),
    ):
        for key in NUMBERS:
            model = attribute("gen_ai.request.model", "gpt-4o") + attribute("gen_ai.operation.name", "chat")
            yield one_span(f"{label} in {key}", model + attribute(key, value))
        yield one_span(f"{label} in an attribute", attribute("anything", value))
    for depth in (40, 60, 120, 2_000):
        for is_map in (False, True):
            shape = "kvlist" if is_map else "array"
            stored = 0 if depth > 60 else None
            yield one_span(f"{shape} {depth} deep", attribute("x", deep(depth, is_map)), stored)
            yield one_span(
                f"{shape} {depth} deep in content", attribute("gen_ai.input.messages", deep(depth, is_map)), stored
            )
    yield one_span("repeated key", b"".join(attribute("k", str(n)) for n in range(50)))
    yield one_span("empty key", attribute("", "x") + attribute("", number(3, 2)))
    yield one_span("key of dots", attribute("...", "x") + attribute("a.b.", "x") + attribute(".a", "x"))
    yield one_span("10,000 attributes", b"".join(attribute(f"k{n}", "v") for n in range(10_000)))
    yield one_span("1 MB attribute", attribute("input.value", "é" * (MIB // 2)))
    yield one_span("10 MB attribute", attribute("input.value", "x" * (10 * MIB)))
    yield one_span("10 MB key", attribute("k" * (10 * MIB), "x"))
    yield one_span("1 MB status", more=block(15, block(2, "x" * MIB) + number(3, 2)))
    yield one_span("1 MB name", name="n" * MIB)
    yield one_span("wide array", attribute("x", array(*(number(3, 1) for _ in range(100_000)))))
    yield one_span("5,000 events", more=b"".join(block(11, block(2, "e")) for _ in range(5_000)))
    yield one_span(
        "5,000 links", more=b"".join(block(13, block(1, b"\1" * 16) + block(2, b"\2" * 8)) for _ in range(5_000))
    )
    yield one_span("5,000 tags", attribute("telltale.tags", array(*(text(f"tag {n}") for n in range(5_000)))))
    yield one_span("enums out of range", more=number(6, 99) + block(15, number(3, 77)))
    yield one_span("enums negative", more=number(6, -1) + block(15, number(3, -5)))
    yield one_span("counts dropped", more=number(10, 2**32 - 1) + number(12, 2**32 - 1) + number(14, 2**32 - 1))
    yield one_span("flat messages far index", attribute("llm.input_messages.999999999.message.content", "x"))
    yield one_span("flat messages deep", attribute("llm.input_messages.0." + "a." * 300, "x"))
    yield one_span("flat messages clash", attribute("gen_ai.prompt.0", "x") + attribute("gen_ai.prompt.0.content", "y"))


NUMBERS = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "telltale.cost_usd",
    "telltale.ttft_seconds",
    "gen_ai.request.temperature",
    "gen_ai.request.stream",
    "langfuse.observation.completion_start_time",
    "llm.cost.total",
)


def structure_cases() -> Iterator[Case]:
    """Shapes of trees."""
    yield one_span("own parent", parent=1)
    name = "two in a circle"
    yield Case(name, request(span(1, trace_of(name), parent=2), span(2, trace_of(name), parent=1)), items=2, stored=2)
    name = "circle of 500 with a tail"
    ring = [span(n + 1, trace_of(name), parent=(n + 1) % 500 + 1) for n in range(500)]
    tail = [span(n + 1, trace_of(name), parent=n) for n in range(500, 600)]
    yield Case(name, request(*ring, *tail), items=600, stored=600)
    name = "chain 3,000 deep"
    chain = [span(n, trace_of(name), parent=n - 1 if n > 1 else b"") for n in range(1, 3_001)]
    yield Case(name, request(*chain), items=3_000, stored=3_000)
    name = "orphans"
    yield Case(name, request(*(span(n, trace_of(name), parent=n + 10_000) for n in range(1, 21))), items=20, stored=20)
    name = "two roots"
    yield Case(name, request(span(1, trace_of(name)), span(2, trace_of(name))), items=2, stored=2)
    name = "1,000 times the same"
    yield Case(name, request(*[span(1, trace_of(name))] * 1_000), items=1_000, stored=1)
    name = "one id, two spans"
    first, second = span(1, trace_of(name), name="a"), span(1, trace_of(name), name="b", start=NOW_NS + 10**9)
    yield Case(name, request(first, second), items=2, stored=1)
    name = "one span id in 100 traces"
    yield Case(name, request(*(span(1, trace_of(f"{name} {n}")) for n in range(100))), items=100, stored=100)
    name = "link to itself"
    yield one_span(name, more=block(13, block(1, trace_of(name)) + block(2, b"\0" * 7 + b"\1")))
    name = "1,000 empty groups"
    yield Case(name, block(1, b"") * 1_000 + request(span(1, trace_of(name))), items=1, stored=1)
    name = "same response id nested 50"
    attributes = (
        attribute("gen_ai.response.id", "resp-1")
        + attribute("gen_ai.operation.name", "chat")
        + attribute("gen_ai.request.model", "gpt-4o")
        + attribute("gen_ai.usage.input_tokens", number(3, 10))
    )
    nested = [span(n, trace_of(name), parent=n - 1 if n > 1 else b"", attributes=attributes) for n in range(1, 51)]
    yield Case(name, request(*nested), items=50, stored=50)
    name = "same response id in a circle"
    ring = [span(n, trace_of(name), parent=n % 50 + 1, attributes=attributes) for n in range(1, 51)]
    yield Case(name, request(*ring), items=50, stored=50)


def wide(children: int, name: str = "wide") -> Case:
    """A root with so many children: for running installations, too slow for the tests."""
    spans = [span(n, trace_of(name), parent=1 if n > 1 else b"") for n in range(1, children + 2)]
    return Case(name, request(*spans), items=children + 1, stored=children + 1)


def times_cases() -> Iterator[Case]:
    year_1, year_9999 = 2**64 - 62_135_596_800 * 10**9 % 2**64, 253_402_300_799 * 10**9 % 2**64
    moments = {
        "0": 0,
        "1": 1,
        "2^31": 2**31,
        "year 1999": 915_148_800 * 10**9,
        "2^63-1": 2**63 - 1,
        "2^63": 2**63,
        "2^64-1": 2**64 - 1,
        "year 1": year_1,
        "year 9999": year_9999,
        "year 2262": 9_223_372_036 * 10**9,
        "milliseconds": 1_795_000_000_000,
    }
    for label, at in moments.items():
        yield one_span(f"start {label}", start=at, end=NOW_NS)
        yield one_span(f"end {label}", end=at)
        yield one_span(f"both {label}", start=at, end=at)
        yield one_span(f"event at {label}", more=block(11, fixed64(1, at) + block(2, "gen_ai.content.completion")))
    yield one_span("end before start", start=NOW_NS, end=NOW_NS - 10**9)
    name = "one trace, all times"
    spans = [span(n + 1, trace_of(name), start=at, end=at) for n, at in enumerate(moments.values())]
    yield Case(name, request(*spans), items=len(spans), stored=len(spans))


def ids_cases() -> Iterator[Case]:
    trace = trace_of("ids")
    for label, body in {
        "trace id zero": span(1, b"\0" * 16),
        "trace id empty": span(1, b""),
        "trace id 8": span(1, b"\1" * 8),
        "trace id 17": span(1, b"\1" * 17),
        "trace id hex text": span(1, trace.hex().encode()),
        "span id zero": span(b"\0" * 8, trace),
        "span id empty": span(b"", trace),
        "span id 16": span(b"\1" * 16, trace),
        "parent 4": span(1, trace, parent=b"\1" * 4),
        "parent 1000": span(1, trace, parent=b"\1" * 1000),
    }.items():
        yield Case(label, request(body), items=1, stored=0)
    yield one_span("parent zero", parent=b"\0" * 8)
    yield one_span("parent zeros, wrong length", parent=b"\0" * 3)
    for label, own in {"span id all ones": b"\xff" * 8, "span id min": b"\x80" + b"\0" * 7}.items():
        yield Case(label, request(span(own, trace_of(label), parent=own)), items=1, stored=1)
    yield Case("trace id all ones", request(span(1, b"\xff" * 16)), items=1, stored=1)
    name = "bad ids among good"
    spans = [span(1, trace_of(name)), span(b"", trace_of(name)), span(2, b"x"), span(3, trace_of(name))]
    yield Case(name, request(*spans), items=4, stored=2)


def broken_protobuf_cases() -> Iterator[Case]:
    good = request(span(1, trace_of("broken"), attributes=attribute("k", "v")))
    for cut in range(1, len(good), max(len(good) // 12, 1)):
        yield Case(f"truncated at {cut}", good[:cut], status=(200, 400))
    for label, body in {
        "noise": hashlib.shake_128(b"noise").digest(4096),
        "text": b"hello",
        "html": b"<html></html>",
        "ff": b"\xff" * 64,
        "zeros": b"\0" * 64,
        "wrong wire type": number(1, 5),
        "group": b"\x0b\x0c",
        "open group": b"\x0b" * 200,
        "field zero": b"\x02\x01x",
        "field zero, bad utf-8": b"\x02\x01x" + request(span(1, name=BAD_UTF8)),
        "huge length": b"\x0a" + varint(2**63),
        "length 2^64-1": b"\x0a" + varint(2**64 - 1) + b"x",
        "long varint": b"\x0a" + b"\x80" * 20,
        "json in protobuf": b'{"resourceSpans":[]}',
    }.items():
        yield Case(label, body, status=(200, 400))
    name = "unknown fields"
    more = block(900, b"x" * 50) + number(901, 7) + fixed64(902, 7)
    yield Case(name, more + request(span(1, trace_of(name), more=more)) + more, items=1, stored=1)
    name = "unknown groups"
    group = varint(900 << 3 | 3) + number(1, 1) + varint(900 << 3 | 4)
    yield Case(name, group + request(span(1, trace_of(name), more=group)), items=1, stored=1)
    name = "unknown groups, bad utf-8"
    body = group + request(span(1, trace_of(name), name=BAD_UTF8, more=group))
    yield Case(name, body, items=1, stored=1)
    name = "resource told twice"
    group = block(1, block(1, pair("service.name", text("a")))) + block(1, block(1, pair("service.name", text("b"))))
    yield Case(name, block(1, group + block(2, block(2, span(1, trace_of(name))))), items=1, stored=1)
    name = "resource too deep"
    resource = block(1, pair("x", deep(80)))
    yield Case(name, request(span(1, trace_of(name)), resource=resource), items=1, stored=1)
    name = "attribute value told twice"
    both = block(9, block(1, "k") + block(2, text("x")) + block(2, number(3, 7)))
    yield Case(name, request(span(1, trace_of(name), attributes=both)), items=1, stored=1)
    name = "one good, one cut off"
    yield Case(name, request(span(1, trace_of(name))) + b"\x0a\x7f", status=(400,))
    for label, path in (("logs", LOGS), ("metrics", METRICS)):
        yield Case(f"spans sent to {label}", good, path, status=(200, 400))
