"""Identifiers of any shape, stored and looked up by one rule."""

from uuid import UUID

import pytest

from traces.wire.ids import BadId, find_trace_ids, hex_span_id, hex_trace_id, span_id_from, trace_id_from

HEX = "4bf92f3577b34da6a3ce929d0e0e4736"
DASHED = "4bf92f35-77b3-4da6-a3ce-929d0e0e4736"


@pytest.mark.parametrize("text", [HEX, HEX.upper(), DASHED, DASHED.upper(), bytes.fromhex(HEX), f"  {HEX}\n"])
def test_hex_uuid_and_bytes_name_the_same_trace(text):
    found, foreign = trace_id_from(text, "otlp")

    assert found == UUID(HEX)
    assert foreign is None
    assert hex_trace_id(found) == HEX


@pytest.mark.parametrize("text", ["00f067aa0ba902b7", "00F067AA0BA902B7", bytes.fromhex("00f067aa0ba902b7")])
def test_span_ids_are_their_eight_bytes(text):
    found, foreign = span_id_from(text, "otlp")

    assert foreign is None
    assert hex_span_id(found) == "00f067aa0ba902b7"


def test_a_span_id_with_its_top_bit_set_is_negative_inside_and_the_same_outside():
    found, _ = span_id_from("ff00000000000001", "otlp")

    assert found < 0
    assert hex_span_id(found) == "ff00000000000001"
    assert span_id_from(bytes.fromhex("ff00000000000001"), "otlp")[0] == found


def test_a_foreign_id_keeps_its_text_and_depends_on_its_vendor():
    found, foreign = trace_id_from("order-17", "native")
    again, _ = trace_id_from("order-17", "native")
    other, _ = trace_id_from("order-17", "langfuse")

    assert foreign == "order-17"
    assert found == again != other


def test_uuid_v7_span_ids_of_one_millisecond_stay_apart():
    first, told = span_id_from("01936f3a-0000-7abc-8000-000000000001", "langsmith")
    second, _ = span_id_from("01936f3a-0000-7abc-8000-000000000002", "langsmith")

    assert first != second
    assert told == "01936f3a-0000-7abc-8000-000000000001"


@pytest.mark.parametrize("bad", ["", "  ", "0" * 32, b"", bytes(16), b"x" * 15, "x" * 600])
def test_ids_that_are_no_identity_are_refused(bad):
    with pytest.raises(BadId, match="trace_id"):
        trace_id_from(bad, "otlp")


@pytest.mark.parametrize("bad", ["", "0" * 16, b"", bytes(8), b"x" * 7])
def test_span_ids_that_are_no_identity_are_refused(bad):
    with pytest.raises(BadId, match="span_id"):
        span_id_from(bad, "otlp")


@pytest.mark.parametrize("text", [HEX, HEX.upper(), DASHED, f" {HEX} ", f"tr-{HEX}"])
def test_a_look_up_finds_the_trace_by_any_of_its_spellings(text):
    assert find_trace_ids(text) == [UUID(HEX)]


def test_a_look_up_by_foreign_text_finds_what_was_stored_under_it():
    for vendor in ("native", "langfuse", "langsmith", "mlflow", "opik", "otlp"):
        assert trace_id_from("order-17", vendor)[0] in find_trace_ids("order-17")


@pytest.mark.parametrize("text", ["", "   ", "x" * 1000, "0" * 32])
def test_a_look_up_of_no_id_finds_nothing(text):
    assert find_trace_ids(text) == []


def test_text_that_storage_would_refuse_is_looked_up_as_it_was_stored():
    assert trace_id_from("a\x00b\ud800", "native")[0] in find_trace_ids("a\x00b\ud800")
