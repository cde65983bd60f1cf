"""Large JSON documents are taken apart: the same is read as from the whole, and no more is parsed than one item."""

from __future__ import annotations

import json
import tracemalloc
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traces.canonical.types import WireError
from traces.wire import json_pieces, protobuf
from traces.wire.json_pieces import Pieces, consume, json_requests
from traces.wire.native import read_native
from traces.wire.otlp import read_logs, read_metrics, read_traces
from traces.wire.otlp_json import json_groups, read_object

NOW = 1_790_000_000_000_000_000
TRACE = "5b8efff798038103d269b633813fc60c"


@pytest.fixture
def apart(monkeypatch):
    """Every document is large."""
    monkeypatch.setattr(json_pieces, "WHOLE_BYTES", -1)


def pieces_of(body):
    found = []
    for resource, scope, items in json_requests(body, "resourceSpans", "scopeSpans", "spans"):
        assert isinstance(items, Pieces)
        found.append((resource, scope, list(consume(items))))
        assert len(items) == len(found[-1][2])
    return found


def whole_of(body):
    found = json_groups(read_object(body), "resourceSpans", "scopeSpans", "spans")
    return [(resource, scope, items) for resource, scope, items in found]


DOCUMENTS = [
    b"{}",
    b" \n\t ",
    b'\xef\xbb\xbf{"resourceSpans": []}',
    b'{"resourceSpans": null}',
    b'{"resourceSpans": {"a": 1}}',
    b'{"resourceSpans": "x", "other": [1, {"a": [2]}]}',
    b'{"resourceSpans": [1, null, "x", [], {}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": []}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": {}}, {"spans": 5}, {}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [1, "x", null, true, -1.5e3, {"a": "}]"}, ["[\\"{"]]}]}]}',
    # what belongs to a group may come after it
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"b": 1}], "scope": {"name": "s"}}], "resource": {"c": [1]}}]}',
    b'{"resourceSpans": [{"resource": 5, "scopeSpans": [{"scope": [], "spans": [{}]}]}]}',
    # of a key that comes twice the last counts
    b'{"resourceSpans": [{"a": 1}], "resourceSpans": [{"scopeSpans": [{"spans": [1], "spans": [2, 3]}]}]}',
    b'{ "resourceSpans" : [ { "scopeSpans" : [ { "spans" : [ 1 , 2 ] } ] } ] } ',
    '{"resourceSpans": [{"scopeSpans": [{"spans": [{"ключ": "日本 \\" \\\\"}]}]}]}'.encode(),
]


@pytest.mark.parametrize("body", DOCUMENTS)
def test_the_same_is_read_apart_as_from_the_whole(apart, body):
    assert pieces_of(body) == whole_of(body)


scalars = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
groups = st.fixed_dictionaries(
    {},
    optional={
        "scope": values, "resource": values, "spans": st.lists(values, max_size=4) | values, "x": values,
        "scopeSpans": st.lists(
            st.fixed_dictionaries({}, optional={"scope": values, "spans": st.lists(values, max_size=4)}) | values,
            max_size=3,
        ),
    },
)  # fmt: skip


@given(st.fixed_dictionaries({"resourceSpans": st.lists(groups, max_size=3)}), st.sampled_from([None, 1]))
def test_whatever_the_document_both_ways_agree(document, indent):
    body = json.dumps(document, indent=indent, ensure_ascii=False).encode()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_pieces, "WHOLE_BYTES", -1)
        assert pieces_of(body) == whole_of(body)


def could_be_whole(body):
    """Whether some other parser finds no fault."""
    try:
        read_object(body)
    except WireError:
        return False
    return True


@given(st.binary(max_size=60))
def test_garbage_is_refused_and_never_breaks(garbage):
    body = b'{"resourceSpans": [{"scopeSpans": [{"spans": [' + garbage

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(json_pieces, "WHOLE_BYTES", -1)
        with pytest.raises(WireError) if not could_be_whole(body) else nullcontext():
            pieces_of(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"[]", "must be an object"),
        (b"5", "must be an object"),
        (b'"x"', "must be an object"),
        (b"\xff\xfe", "must be an object"),
        (b'{"a": }', "cannot be decoded"),
        (b'{"a" 1}', "cannot be decoded"),
        (b'{"a": 1', "cannot be decoded"),
        (b'{"a": "1}', "cannot be decoded"),
        (b'{"a": ["1]}', "cannot be decoded"),
        (b"{} {}", "something follows"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [1 2]}]}]}', "cannot be decoded"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"a" "b"}]}]}]}', "cannot be decoded"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{]}]}]}]}', "cannot be decoded"),
        (b'{"resource_spans": []}', "lowerCamelCase"),
        (b'{"a": ' + b"[" * 2000 + b"]" * 2000 + b"}", "nested too deeply"),
    ],
)
def test_what_cannot_be_read_is_named(apart, body, said):
    with pytest.raises(WireError, match=said) as caught:
        pieces_of(body)

    assert caught.value.status == 400


def test_one_item_of_brackets_alone_is_refused(apart):
    body = b'{"resourceSpans": [{"scopeSpans": [{"spans": [[' + b"[]," * 400_000 + b"[]]]}]}]}"

    with pytest.raises(WireError, match="300000 objects and lists") as caught:
        pieces_of(body)

    assert caught.value.status == 413


def span(number):
    attributes = [{"key": f"k{at}", "value": {"stringValue": "v"}} for at in range(10)]
    return {
        "traceId": TRACE, "spanId": f"{number:016x}", "name": "x", "startTimeUnixNano": str(NOW),
        "endTimeUnixNano": str(NOW + 1), "attributes": attributes,
    }  # fmt: skip


def test_spans_logs_and_metrics_are_the_same_from_a_large_document(apart, monkeypatch):
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    traces = {"resourceSpans": [{"scopeSpans": [{"spans": [span(1), 5, span(2)]}], "resource": resource}]}
    record = {"timeUnixNano": str(NOW), "traceId": TRACE, "spanId": "0" * 15 + "1", "eventName": "gen_ai.choice"}
    logs = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record, "x"]}]}]}
    point = {"timeUnixNano": str(NOW), "asDouble": 0.5}
    metric = {"name": "system.cpu.utilization", "gauge": {"dataPoints": [point]}}
    metrics = {"resourceMetrics": [{"resource": resource, "scopeMetrics": [{"metrics": [metric, 1]}]}]}

    for read, document in ((read_traces, traces), (read_logs, logs), (read_metrics, metrics)):
        body = json.dumps(document).encode()
        monkeypatch.setattr(json_pieces, "WHOLE_BYTES", -1)
        apart_ = read(body, True, received_at_ns=NOW)
        monkeypatch.setattr(json_pieces, "WHOLE_BYTES", 10**9)
        whole = read(body, True, received_at_ns=NOW)

        assert apart_.received == whole.received > 0
        assert repr(apart_) == repr(whole)


def test_a_large_document_is_never_in_memory_as_a_whole():
    one = json.dumps(span(1)).encode()
    body = b'{"resourceSpans": [{"scopeSpans": [{"spans": [' + b",".join([one] * 12_000) + b"]}]}]}"
    assert len(body) > json_pieces.WHOLE_BYTES

    tracemalloc.start()
    try:
        ((_, _, items),) = json_requests(body, "resourceSpans", "scopeSpans", "spans")
        count = sum(1 for item in consume(items) if item["name"] == "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert count == 12_000
    assert peak < len(body) / 4


NATIVE = [
    {
        "name": "one",
        "root_span_id": "a0",
        "trace_id": TRACE,
        "spans": [{"id": "a1", "name": "s"}, {"id": "a2", "parent": "a1", "name": "t"}, 5],
    },
    {"traces": [{"trace_id": TRACE, "name": "x"}, {"trace_id": TRACE, "spans": [{"id": "b1", "name": "y"}]}, "z"]},
    [{"trace_id": TRACE, "id": "c1", "name": "x"}, {"trace_id": ["bad"], "spans": [1, 2]}],
    {"trace_id": TRACE, "id": "d1", "name": "alone", "spans": {"a": 1}},
]


@pytest.mark.parametrize("document", NATIVE)
def test_native_documents_are_the_same_apart(monkeypatch, document):
    body = json.dumps(document).encode()
    whole = read_native(body, received_at_ns=NOW)
    monkeypatch.setattr(json_pieces, "WHOLE_BYTES", -1)

    apart_ = read_native(body, received_at_ns=NOW)

    assert apart_.trace_ids == whole.trace_ids
    assert apart_.errors == whole.errors
    assert apart_.intake.received == whole.intake.received
    assert [(span.name, span.parent_span_id) for span in apart_.intake.spans] == [
        (span.name, span.parent_span_id) for span in whole.intake.spans
    ]


def test_a_native_document_that_breaks_off_is_refused_whole(apart):
    body = b'{"trace_id": "' + TRACE.encode() + b'", "name": "x", "spans": [{"name": "fine"}, {"name" "broken"}]}'

    with pytest.raises(WireError, match="cannot be decoded"):
        read_native(body, received_at_ns=NOW)


@pytest.mark.parametrize("is_apart", [True, False])
def test_native_requests_hold_as_many_spans_as_others(monkeypatch, is_apart):
    monkeypatch.setattr(json_pieces, "WHOLE_BYTES", -1 if is_apart else 10**9)
    monkeypatch.setattr(protobuf, "MAX_ITEMS", 3)
    spans = [{"name": str(number)} for number in range(4)]

    with pytest.raises(WireError, match="more than 3 spans") as caught:
        read_native(json.dumps({"trace_id": TRACE, "spans": spans}).encode(), received_at_ns=NOW)

    assert caught.value.status == 413
    assert read_native(json.dumps({"spans": spans[:3]}).encode(), received_at_ns=NOW).intake.received == 3
