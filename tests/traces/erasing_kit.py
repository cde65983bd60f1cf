"""Planting a mark wherever the product keeps something, and finding it again, whatever it is packed in."""

from __future__ import annotations

import json
import zlib

import orjson
import zstandard
from django.db import connection, transaction
from psycopg import errors, sql

from telltale.jobs import work
from telltale.lib.db import raw_cursor
from telltale.lib.rows import list_tables
from telltale.web.erasing import asking, kept
from telltale.web.models import Erasure
from traces import accounting, behaving, folding, indexing, sighting
from traces.ingest.rules import forget as forget_rules
from traces.write import spans

# Where a mark would be another id or a state of the product itself, not somebody's words.
STATES = {"slug", "state", "kind", "metric", "method", "encoder", "lease_by", "holder", "period", "of", "key_hint"}


def erase(project, kind, subject):
    """The receipt of an erasure that has run to its end."""
    erasure = asking.ask(project, kind, subject, by="alice@example.com")
    work.run_now(work.Job.objects.get(pk=erasure.job_id))
    forget_rules()
    spans.forget()
    return Erasure.objects.get(pk=erasure.pk)


def fold_all():
    """Everything that follows from what was stored."""
    accounting.fold_batches()
    folding.fold_roll_ups()
    behaving.fold_behaviour()
    sighting.see_changes()
    indexing.index_changes()


def found_in(*markers):
    """Where the database holds one of the markers: every column of every table, packed bodies unpacked."""
    wanted = [each.encode() for each in markers]
    hits = set()
    with transaction.atomic(), raw_cursor() as cursor:
        for table in list_tables(cursor):
            names = [each.name for each in table.columns]
            cursor.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table.name)))
            for row in cursor.fetchall():
                for name, value in zip(names, row, strict=True):
                    if any(marker in form for form in forms_of(value) for marker in wanted):
                        hits.add(f"{table.name}.{name}")
    return sorted(hits)


def forms_of(value):
    """A value as bytes in every form in which somebody could read it."""
    if value is None or isinstance(value, bool | int | float):
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


def plant(project, mark, trace):
    """Write a mark and a trace's id into one row of every table of the project that may hold words; where it went.

    As whoever made a table tomorrow would: no table is named here.
    """
    planted = set()
    with transaction.atomic(), raw_cursor() as cursor:
        for table in list_tables(cursor):
            scope = table.of_project(project.pk)
            if scope is None or not kept.is_searched(table.name) or table.name.startswith(("projects_", "web_erasure")):
                continue
            for column in table.of_kinds("text", "texts", "json"):
                if column.name in STATES or column.name.endswith(("_id", "_by", "_key")):
                    continue
                value = {
                    "text": f"a {mark} b" if (column.most or 99) >= len(mark) + 4 else None,
                    "texts": [mark, "b"],
                    "json": orjson.dumps({"words": f"a {mark}", "of": [{"trace": trace, "said": mark}], mark: 1}),
                }[column.kind]
                if value is None:
                    continue
                told = value.decode() if isinstance(value, bytes) else value
                query = sql.SQL(
                    "UPDATE {t} SET {c} = {v} WHERE ctid = (SELECT ctid FROM {t} WHERE {s} LIMIT 1)"
                ).format(
                    t=sql.Identifier(table.name), c=sql.Identifier(column.name), s=scope,
                    v=sql.SQL("{}::jsonb").format(sql.Literal(told)) if column.kind == "json" else sql.Literal(told),
                )  # fmt: skip
                try:
                    with transaction.atomic():
                        raw_cursor().execute(query)
                        planted.add(f"{table.name}.{column.name}")
                except (errors.IntegrityError, errors.DataError):
                    continue  # a constraint says that no words stand there
    connection.cursor().close()
    return planted
