"""Erasing a trace, a session, a user: gone from every column of every table, refused when it comes late."""

from __future__ import annotations

import json
import zlib

import pytest
import zstandard
from django.db import connection

from telltale.jobs import work
from telltale.lib.rows import list_tables
from telltale.web.erasing import asking, removing, running
from telltale.web.models import Erasure, ErasureName, ErasureTrace
from traces.ingest.rules import forget as forget_rules
from traces.write import spans

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for module in (running, removing):
        monkeypatch.setattr(module, "pause", lambda seconds: None)


def erase(project, kind, subject):
    """The receipt of an erasure that has run to its end."""
    erasure = asking.ask(project, kind, subject, by="alice@example.com")
    work.run_next()
    forget_rules()
    spans.forget()
    return Erasure.objects.get(pk=erasure.pk)


def found_in(*markers):
    """Where the database holds one of the markers: every column of every table, packed bodies unpacked."""
    wanted = [each.encode() for each in markers]
    hits = []
    with connection.cursor() as cursor:
        for table in list_tables(cursor.cursor):
            names = [each.name for each in table.columns]
            cursor.execute(f'SELECT {", ".join(chr(34) + name + chr(34) for name in names)} FROM "{table.name}"')
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    if any(marker in form for form in forms_of(value) for marker in wanted):
                        hits.append(f"{table.name}.{name}")
    return sorted(set(hits))


def forms_of(value):
    """A value as bytes in every form in which somebody could read it."""
    if value is None:
        return []
    if isinstance(value, bytes | memoryview):
        data = bytes(value)
        forms = [data, data.hex().encode()]
        for unpack in (lambda: zstandard.ZstdDecompressor().decompress(data, 1 << 26), lambda: zlib.decompress(data)):
            try:
                forms.append(unpack())
            except (zstandard.ZstdError, zlib.error):
                continue
        return forms
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return [text.encode(), text.replace("-", "").encode()]


def test_a_trace_goes_with_everything_that_hangs_on_it(otlp, shop):
    gone, kept = "ab" * 16, "cd" * 16
    for trace in (gone, kept):
        otlp.send(otlp.generation(trace, trace[:16], said=f"secret {trace}", attributes={"user.id": f"user-{trace}"}))

    receipt = erase(shop.project, "trace", gone)

    assert receipt.state == "done", receipt.remaining
    assert receipt.verified_at is not None
    assert receipt.removed["traces_span"] == 1
    assert found_in("secret " + gone) == []
    assert "traces_trace.trace_id" in found_in(kept)
    assert not ErasureTrace.objects.exists()
    assert not ErasureName.objects.exists()
