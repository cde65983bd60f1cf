"""The hostile corpus. Kept apart from its tests so that it can be sent at a running installation as well."""

from __future__ import annotations

from tests.traces.hostile_case import Case
from tests.traces.hostile_http import encodings_cases, types_cases
from tests.traces.hostile_json import broken_json_cases, json_inside_cases, json_spans_cases
from tests.traces.hostile_others import logs_cases, metrics_cases, native_cases
from tests.traces.hostile_protobuf import (
    broken_protobuf_cases,
    ids_cases,
    structure_cases,
    text_cases,
    times_cases,
    values_cases,
)


def cases() -> list[Case]:
    """Every body of the corpus. Big ones are made when asked for, so this is not for import time."""
    found = [
        *text_cases(),
        *values_cases(),
        *structure_cases(),
        *times_cases(),
        *ids_cases(),
        *broken_protobuf_cases(),
        *encodings_cases(),
        *types_cases(),
        *broken_json_cases(),
        *json_spans_cases(),
        *json_inside_cases(),
        *logs_cases(),
        *metrics_cases(),
        *native_cases(),
    ]
    assert len({case.name for case in found}) == len(found)
    return found
