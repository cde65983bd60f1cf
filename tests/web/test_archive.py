"""An archive holds everything of a project, goes on after a kill, and reads in as equal counts and costs."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection, transaction

from evals.models import Dataset, DatasetItem, Rubric
from telltale.accounts.models import Organisation
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib.rows import list_tables
from telltale.projects.models import Project
from telltale.run.commands import export as command
from telltale.run.commands import import_, run_command
from telltale.web.archive import exporting, plan
from telltale.web.archive.importing import BadArchive, read_archive
from telltale.web.models import Archive, ArchiveTrace
from traces.canonical.types import Body, CanonicalSpan, Intake, Kind, Origin, Vocabulary
from traces.ingest.rules import forget as forget_rules
from traces.ingest.rules import rules_for
from traces.models import Price
from traces.write import partitions, spans, store_spans
from traces.write.batch import Batch

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
COST = 123_456_789_012_345
ORIGIN = Origin(31, {"host.name": "h1"}, "scope", "1", {}, Vocabulary.PLAIN)
# A server-side cursor needs no commit, but isolation is set by the first statement of a transaction.
pytestmark = pytest.mark.django_db


@pytest.fixture
def projects(monkeypatch):
    # Tests run inside of a transaction, where its isolation cannot be changed any more.
    monkeypatch.setattr("telltale.web.archive.reading.BEGIN", ())
    plan.list_sources.cache_clear()
    partitions.forget()
    spans.forget()
    forget_rules()
    organisation = Organisation.objects.create(name="Shop", slug=f"shop-{uuid4().hex[:8]}")
    with time_machine.travel(NOW, tick=False):
        yield [
            Project.objects.create(organisation=organisation, name=name, slug=f"{name}-{uuid4().hex[:6]}")
            for name in ("shop", "other")
        ]
    partitions.forget()


def store(project, n=3, user="ann", days=2.0, said="hello"):
    """`n` traces of two spans with bodies, users and costs."""
    made, ids = [], []
    for number in range(n):
        trace = uuid4()
        ids.append(trace)
        started = int((NOW - timedelta(days=days, minutes=number)).timestamp() * 1_000_000)
        for span_id in (1, 2):
            span = CanonicalSpan(
                trace, span_id, None if span_id == 1 else 1, "=cmd|'/c calc'!A1", Kind.GENERATION, started,
                started * 1000, started * 1000 + 5, 5, ORIGIN,
            )  # fmt: skip
            span.user_id, span.session_id = user, f"talk of {user}"
            span.body = Body(raw={"said": f"{said} \\u0041 1e400 ünï", "big": 2**53 + 1})
            made.append(span)
    store_spans(Batch(project.pk, 1, "traces", NOW, 9), Intake(len(made), made), rules_for(project.pk))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_span SET cost_pico = %s WHERE trace_id = ANY(%s)", [COST, ids])
        cursor.execute("UPDATE traces_trace SET cost_pico = %s WHERE trace_id = ANY(%s)", [2 * COST, ids])
    return ids


def rows(project, table, columns="*"):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT (to_jsonb(t) - 'project_id')::text FROM (SELECT {columns} FROM {table} WHERE project_id = %s) AS t"
            " ORDER BY 1", [project.pk],
        )  # fmt: skip
        return [row[0] for row in cursor.fetchall()]


def export(project, directory, *more):
    out = io.StringIO()
    assert run_command(["export", project.slug, "--out", str(directory), *more], out) == 0, out.getvalue()
    return json.loads((directory / "manifest.json").read_text())


def lines(directory, table):
    found = []
    for path in sorted(directory.glob(f"{table}-*.ndjson.gz")):
        found += [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    return found


def test_what_is_exported_reads_in_as_equal_counts_costs_and_bodies(projects, tmp_path):
    shop, other = projects
    store(shop)
    manifest = export(shop, tmp_path / "a")

    report = read_archive(tmp_path / "a", other, say=lambda line: None)

    assert report.is_equal
    assert manifest["tables"]["traces_span"] == {"rows": 6, "cost_pico": str(6 * COST)}
    for table in ("traces_trace", "traces_span", "traces_payload", "traces_origin"):
        columns = "trace_id, payload_id, started_at, raw_bytes" if table == "traces_payload" else "*"
        assert rows(other, table, columns) == rows(shop, table, columns), table
    # A second archive of what was read in says the same of every body, to the letter.
    export(other, tmp_path / "b")
    assert [row["bodies"] for row in lines(tmp_path / "b", "traces_payload")] == [
        row["bodies"] for row in lines(tmp_path / "a", "traces_payload")
    ]


def test_reading_in_twice_changes_nothing(projects, tmp_path):
    shop, other = projects
    store(shop)
    Price.objects.create(project=shop, model="m", source="us", source_date=NOW.date())
    dataset = Dataset.objects.create(project=shop, slug="gold", name="Gold")
    DatasetItem.objects.create(dataset=dataset, item_key="1", from_version=1, input={"q": 1}, origin="manual")
    Rubric.objects.create(project=shop, slug="r", name="R")
    export(shop, tmp_path / "a")

    first = read_archive(tmp_path / "a", other, say=lambda line: None)
    second = read_archive(tmp_path / "a", other, say=lambda line: None)

    assert first.is_equal
    assert second.is_equal
    assert sum(table.new for table in first.tables.values()) > 0
    assert sum(table.new for table in second.tables.values()) == 0
    assert DatasetItem.objects.filter(dataset__project=other).count() == 1
    assert Price.objects.filter(project=other).count() == 1


def test_an_export_that_was_killed_goes_on_and_holds_each_row_once(projects, tmp_path, monkeypatch):
    shop, _ = projects
    store(shop, n=7)
    monkeypatch.setattr(exporting, "SLICE_TRACES", 2)
    steps = []
    step = work.Run.step

    def dying(self, **told):
        steps.append(1)
        if len(steps) == 3:
            raise KeyboardInterrupt
        step(self, **told)

    monkeypatch.setattr(work.Run, "step", dying)
    out = io.StringIO()
    assert run_command(["export", shop.slug, "--out", str(tmp_path / "a")], out) == 130
    assert "--resume" in out.getvalue()
    Job.objects.update(lease_until=None, lease_by="")

    manifest = export(shop, tmp_path / "a", "--resume")

    assert manifest["tables"]["traces_span"]["rows"] == 14
    held = [(row["trace_id"], row["span_id"]) for row in lines(tmp_path / "a", "traces_span")]
    assert len(held) == len(set(held)) == 14


def test_an_archive_of_one_user_holds_nothing_of_another(projects, tmp_path):
    shop, _ = projects
    ann, ben = store(shop, user="ann", said="ann's words"), store(shop, user="ben", said="ben's words")

    export(shop, tmp_path / "a", "--user", "ann")

    assert {UUID(row["trace_id"]) for row in lines(tmp_path / "a", "traces_trace")} == set(ann)
    for path in (tmp_path / "a").glob("*.gz"):
        text = gzip.decompress(path.read_bytes()).decode()
        assert "ben's words" not in text, path
        assert not any(str(trace) in text for trace in ben), path
    assert not ArchiveTrace.objects.exists()


def test_cells_that_a_spreadsheet_would_compute_are_made_text(projects, tmp_path):
    shop, _ = projects
    store(shop, n=1)

    export(shop, tmp_path / "a", "--csv")

    (path,) = (tmp_path / "a").glob("traces_span-*.csv.gz")
    text = gzip.decompress(path.read_bytes()).decode()
    assert "'=cmd|" in text
    assert ",=cmd|" not in text


def test_no_secret_and_no_key_leaves(projects, tmp_path):
    shop, _ = projects
    export(shop, tmp_path / "a")

    names = {path.name.split("-")[0] for path in (tmp_path / "a").glob("*.gz")}
    assert not names & {"projects_apikey", "projects_invitation", "traces_maskkey"}
    for source in plan.list_sources():
        for column in source.columns:
            assert not any(word in column for word in ("sealed", "secret", "password", "token_sha")), (source, column)


def test_every_table_of_a_project_is_exported_or_left_out_with_a_reason():
    plan.list_sources.cache_clear()
    with transaction.atomic(), connection.cursor() as cursor:
        tables = {table.name for table in list_tables(cursor) if table.own is not None}

    assert tables == {source.name for source in plan.list_sources()} | (set(plan.LEFT_OUT) & tables)


@pytest.mark.parametrize("harm", ["cut", "other rows", "no manifest", "other format", "a path"])
def test_a_damaged_archive_is_refused_in_words(projects, tmp_path, harm):
    shop, other = projects
    store(shop)
    export(shop, tmp_path / "a")
    manifest = tmp_path / "a" / "manifest.json"
    told = json.loads(manifest.read_text())
    (path,) = (tmp_path / "a").glob("traces_span-*.ndjson.gz")
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif harm == "other rows":
        path.write_bytes(gzip.compress(b'{"a": 1}\n'))
    elif harm == "no manifest":
        manifest.unlink()
    else:
        told |= {"telltale_archive": 99} if harm == "other format" else {}
        told["parts"][0]["name"] = "../../etc/passwd" if harm == "a path" else told["parts"][0]["name"]
        manifest.write_text(json.dumps(told))

    with pytest.raises(BadArchive) as refused:
        read_archive(tmp_path / "a", other, say=lambda line: None)

    assert "Traceback" not in str(refused.value)


def test_a_project_with_traces_of_its_own_is_left_alone(projects, tmp_path):
    shop, other = projects
    store(shop)
    store(other)
    export(shop, tmp_path / "a")
    out = io.StringIO()

    assert run_command(["import", str(tmp_path / "a"), "--project", other.slug], out) == 1

    assert "traces of its own" in out.getvalue()
    assert len(rows(other, "traces_trace")) == 3
    assert run_command(["import", str(tmp_path / "a"), "--project", other.slug, "--merge", "--quiet"], out) == 1
    assert len(rows(other, "traces_trace")) == 6
    assert command.JOB != exporting.JOB
    assert import_.handle is not None


def test_a_worker_makes_what_a_page_asked_for_and_it_reads_in_from_the_tar_file(projects, tmp_path):
    from telltale.web.archive.files import as_tar

    shop, other = projects
    store(shop)
    archive = exporting.start(shop, by_id=None, by="alice@example.com")
    job = work.run_now(Job.objects.get(pk=archive.job_id))
    assert job.state == "done", job.error
    archive = Archive.objects.get(pk=archive.pk)

    (tmp_path / "a.tar").write_bytes(b"".join(as_tar(archive)))

    assert read_archive(tmp_path / "a.tar", other, say=lambda line: None).is_equal
