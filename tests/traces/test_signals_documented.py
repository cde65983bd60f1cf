"""docs/signals.md says what the code does: every field with its limit, every meaning with names that have it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from traces import signalling
from traces.api import signal_bodies as api
from traces.read.signals import ORPHAN_AFTER
from traces.signals import items
from traces.signals.names import MEANINGS, NAME_CHARS_MAX, Names, plain_name
from traces.write.signals import DEEP_MAX, REQUEST_SINCE

DOCS = (Path(__file__).resolve().parent.parent.parent / "docs" / "signals.md").read_text()
ROWS = [line for line in DOCS.splitlines() if line.startswith("| `")]


def row_of(field):
    return next(line for line in ROWS if f"`{field}`" in line.split("|")[1])


@pytest.mark.parametrize("field", sorted(items.FIELDS - {"id"}))
def test_every_field_has_a_row(field):
    assert row_of(field)


@pytest.mark.parametrize(
    ("field", "limit"),
    [
        ("name", f"{NAME_CHARS_MAX} characters"), ("value", f"{items.TEXT_CHARS_MAX:,} characters"),
        ("value", "1e15"), ("trace_id", f"{items.ID_CHARS_MAX} characters"),
        ("session_id", f"{items.INDEXED_BYTES:,} characters"), ("request_id", f"{items.ID_CHARS_MAX} characters"),
        ("comment", f"{items.COMMENT_CHARS_MAX:,} characters"), ("user_id", f"{items.INDEXED_BYTES:,} characters"),
        ("happened_at", f"{items.YEAR_MIN} to {items.YEAR_MAX}"),
        ("client_id", f"{items.CLIENT_ID_CHARS_MAX} characters"), ("metadata", f"{items.METADATA_BYTES_MAX:,} bytes"),
    ],
)  # fmt: skip
def test_its_limit_is_the_one_that_holds(field, limit):
    assert limit in row_of(field)


@pytest.mark.parametrize("meaning", sorted(set(MEANINGS) - {"other"}))
def test_every_meaning_is_named_with_names_that_have_it(meaning):
    cells = row_of(meaning).split("|")
    told = re.findall(r"`([a-z_]+)`", cells[2]) + re.findall("[👍👎]", cells[2])
    known = {MEANINGS[word] for word in re.findall(r"`([a-z_.]+)`", cells[1])}

    assert told
    assert {Names().meaning(plain_name(name)) for name in told} <= known


def test_numbers_in_the_text_are_those_of_the_code(settings):
    text = " ".join(DOCS.split())

    assert f"at most {signalling.ITEMS_MAX:,} and {api.BODY_MAX_BYTES >> 20} MiB" in text
    assert f"from a page {api.PAGE_BODY_MAX_BYTES >> 10} KiB" in text
    assert f"after {ORPHAN_AFTER.days} days shown as an `orphan`" in text
    assert f"traces of the {REQUEST_SINCE.days} days before the signal. Up to {DEEP_MAX} in one request" in text
    assert f"at most {settings.BROWSER_SIGNALS_A_SECOND} signals a second" in text
    for source in items.SOURCES:
        assert f"`{source}`" in row_of("source")
