"""What an archive brings passes the rules of the project that reads it in: masks, and what was erased there."""

from __future__ import annotations

import io
import json
from uuid import uuid4

import orjson
import pytest
import time_machine
import zstandard
from django.db import connection

from evals.keeping import By, NewItem, make_dataset, put_items
from evals.scoring import Author, put_scores
from telltale.accounts.models import Organisation
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from telltale.run.commands import run_command
from telltale.web.archive import plan
from telltale.web.archive.importing import read_archive
from tests.web.test_archive import NOW, export, store
from traces import erasure, masks
from traces.ingest.rules import forget as forget_rules
from traces.models import MaskPolicy
from traces.write import archive_rules, partitions, spans

pytestmark = pytest.mark.django_db
CARD = "4111 1111 1111 1111"
KEY = "sk-proj-Zx8Kq2mN5vB7cW1eR4tY6u"


@pytest.fixture
def projects(monkeypatch):
    """Two projects that store everything as it comes."""
    monkeypatch.setattr("telltale.web.archive.reading.BEGIN", ())
    plan.list_sources.cache_clear()
    for each in (partitions, spans):
        each.forget()
    organisation = Organisation.objects.create(name="Shop", slug=f"shop-{uuid4().hex[:8]}")
    with time_machine.travel(NOW, tick=False):
        made = [
            Project.objects.create(organisation=organisation, name=name, slug=f"{name}-{uuid4().hex[:6]}")
            for name in ("shop", "other")
        ]
        for project in made:
            keep_by(project, mode="off")
        yield made
    partitions.forget()
    masks.forget()
    forget_rules()


def keep_by(project, **rules):
    version = MaskPolicy.objects.filter(project=project).count() + 1
    MaskPolicy.objects.create(project=project, version=version, rules=rules)
    masks.forget()
    forget_rules()


def fill(project):
    """Traces, a score, a dataset and a signal with secrets in them."""
    ids = store(project, user=f"ann {CARD}", said=f"my key {KEY}")
    sql(
        "UPDATE traces_span SET status_message = %s, attributes = %s::jsonb WHERE trace_id = ANY(%s)",
        f"refused {CARD}", f'{{"note": "{CARD}", "n": 4111111111111111, "exact": 0.1234567890123456789}}', ids,
    )  # fmt: skip
    sql("UPDATE traces_trace SET preview_in = %s, feature = 'help' WHERE trace_id = ANY(%s)", f"see {CARD}", ids)
    put_scores(project.pk, [
        {"trace_id": ids[0].hex, "name": "good", "value": 1, "comment": CARD, "evidence": [CARD],
         "metadata": {"a": CARD}},
    ], Author("a"))  # fmt: skip
    make_dataset(project, "Returns", CARD, by=By())
    put_items(project, "returns", [NewItem("k", {"q": CARD}, KEY)], by=By())
    return ids


def sql(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def rows(project, table, columns="*"):
    return sql(f"SELECT {columns} FROM {table} WHERE project_id = %s", project.pk)


def bodies(project):
    unpack = zstandard.ZstdDecompressor().decompress
    return sorted(unpack(bytes(data), max_output_size=1 << 24) for (data,) in rows(project, "traces_payload", "data"))


def all_texts(project):
    """Every row of the project in the tables that an import fills, as text."""
    names = [*archive_rules.COLUMNS, "evals_score", "evals_dataset", "evals_datasetitem"]
    told = [repr(rows(project, name)) for name in names if name != "evals_datasetitem"]
    told.append(repr(sql("SELECT input, expected, metadata FROM evals_datasetitem AS i JOIN evals_dataset AS d"
                         " ON d.id = i.dataset_id WHERE d.project_id = %s", project.pk)))  # fmt: skip
    return "\n".join([*told, repr(bodies(project))])


def test_what_is_read_in_is_masked_by_the_rules_of_the_project_that_reads(projects, tmp_path):
    shop, other = projects
    ids = fill(shop)
    export(shop, tmp_path / "a")
    keep_by(other, mode="mask")
    out = io.StringIO()

    assert run_command(["import", str(tmp_path / "a"), "--project", other.slug, "--quiet"], out) == 0

    told = all_texts(other)
    assert "4111" in all_texts(shop)
    assert "4111" not in told
    assert KEY not in told
    assert "[masked: key]" in told
    span = rows(other, "traces_span", "user_id, status_message, attributes, cost_pico")[0]
    assert span[0] == masks.mask_id(other.pk, f"ann {CARD}")
    assert span[1] == "refused [masked: card]"
    attributes = span[2] if isinstance(span[2], dict) else json.loads(span[2])
    assert attributes["note"] == attributes["n"] == "[masked: card]"
    assert len(rows(other, "traces_trace")) == len(ids)
    assert "Masked: " in out.getvalue()
    assert " card" in out.getvalue()
    again = io.StringIO()
    assert run_command(["import", str(tmp_path / "a"), "--project", other.slug, "--quiet"], again) == 0
    assert " 3 new" not in again.getvalue()


def test_a_project_that_masks_nothing_gets_every_row_as_it_was(projects, tmp_path):
    shop, other = projects
    fill(shop)
    export(shop, tmp_path / "a")

    report = read_archive(tmp_path / "a", other, say=lambda line: None)

    assert report.is_equal
    assert report.masked == {}
    assert not any(read.erased or read.dropped or read.changed for read in report.tables.values())
    columns = "trace_id, span_id, name, user_id, status_message, attributes::text, cost_pico"
    assert sorted(rows(other, "traces_span", columns)) == sorted(rows(shop, "traces_span", columns))
    assert bodies(other) == bodies(shop)


@pytest.mark.parametrize("rules", [
    {"mode": "no content"}, {"mode": "mask", "features": [{"feature": "help", "mode": "no content"}]},
])  # fmt: skip
def test_without_content_counts_and_costs_are_read_in_and_no_words(projects, tmp_path, rules):
    shop, other = projects
    fill(shop)
    export(shop, tmp_path / "a")
    keep_by(other, **rules)

    report = read_archive(tmp_path / "a", other, say=lambda line: None)

    assert report.is_equal
    assert report.tables["traces_span"].cost_pico == report.tables["traces_span"].wanted_pico > 0
    told = repr(bodies(other)) + repr(rows(other, "traces_trace")) + repr(rows(other, "traces_span"))
    assert "my key" not in told
    assert "refused" not in told
    assert "see" not in told
    assert report.masked["no content"] > 0
    assert rows(other, "evals_score", "number, comment, evidence, metadata") == [(1.0, None, None, None)]
    exact = rows(other, "traces_span", "attributes->>'exact'")[0][0]
    assert exact == "0.1234567890123456789"


def erase(project, what, name):
    with raw_cursor() as cursor:
        erasure.refuse(cursor, project.pk, what, [name], 1)


@pytest.mark.parametrize("what", ["user", "session", "trace"])
def test_what_was_erased_where_it_is_read_in_does_not_come_back(projects, tmp_path, what):
    shop, other = projects
    ann, ben = store(shop, user="ann", said="of ann"), store(shop, user="ben", said="of ben")
    # A trace whose own row names nobody, one span of which is ann's.
    sql("UPDATE traces_trace SET user_id = NULL, session_id = NULL WHERE trace_id = %s", ann[0])
    put_scores(shop.pk, [
        {"trace_id": each.hex, "name": "good", "value": 1} for each in (ann[0], ben[0])
    ], Author("a"))  # fmt: skip
    export(shop, tmp_path / "a")
    kinds = {"user": (erasure.What.USER, "ann"), "session": (erasure.What.SESSION, "talk of ann"),
             "trace": (erasure.What.TRACE, ann[0].hex)}  # fmt: skip
    erase(other, *kinds[what])
    gone = {ann[0]} if what == "trace" else set(ann)
    out = io.StringIO()

    assert run_command(["import", str(tmp_path / "a"), "--project", other.slug, "--quiet"], out) == 0

    for table in ("traces_trace", "traces_span", "traces_payload"):
        assert {row[0] for row in rows(other, table, "trace_id")} == {*ann, *ben} - gone, table
    assert [row[0] for row in rows(other, "evals_score", "trace_id")] == [ben[0]]
    assert f"{2 * len(gone)} not read in: erased in this project" in out.getvalue()


def test_a_user_is_known_by_the_id_that_masking_gives(projects, tmp_path):
    shop, other = projects
    store(shop, user=f"ann {CARD}")
    export(shop, tmp_path / "a")
    keep_by(other, mode="mask")
    erase(other, erasure.What.USER, masks.mask_id(other.pk, f"ann {CARD}"))

    report = read_archive(tmp_path / "a", other, say=lambda line: None)

    assert report.is_equal
    assert rows(other, "traces_span") == []
    assert report.tables["traces_span"].erased == 6


def test_lines_of_which_nothing_is_caught_go_through_byte_for_byte(projects):
    _, other = projects
    keep_by(other, mode="mask")
    door = archive_rules.Door.of(other.pk, masks.read_masker(other.pk), {})
    plain = b'{"project_id":1,"trace_id":"a","attributes":{"n":1.00,"big":123456789012345678901234567890}}'
    caught = plain.replace(b'"n":1.00', b'"n":1.00,"k":"%b"' % CARD.encode())

    passed = door.take("traces_span", [plain, caught])

    assert passed.lines[0] is plain
    assert b'"n":1.00,"k":"[masked: card]","big":123456789012345678901234567890' in passed.lines[1]
    assert passed.changed == 1
    assert orjson.loads(passed.lines[1])["flags"]
