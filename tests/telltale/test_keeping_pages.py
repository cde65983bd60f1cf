"""The pages Retention and Export, and their twins in REST."""

from __future__ import annotations

import io
import tarfile
from datetime import timedelta

import pytest

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.projects import keeping
from telltale.projects.keys import make_key
from telltale.projects.models import RetentionDay
from telltale.web.archive import keeping as archives
from telltale.web.archive import plan
from telltale.web.keeping import measuring
from telltale.web.models import Archive, ArchiveChunk, Erasure

pytestmark = pytest.mark.django_db
RETENTION, EXPORTS = "/p/shop/settings/retention/", "/p/shop/settings/exports/"


@pytest.fixture
def project(house):
    return house.shop


@pytest.fixture
def sign_in(house):
    return house.sign_in


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch):
    # Tests run inside of a transaction, where its isolation cannot be changed any more.
    monkeypatch.setattr("telltale.web.archive.reading.BEGIN", ())
    plan.list_sources.cache_clear()


def test_sizes_days_and_where_they_level_off_are_shown(sign_in, project):
    project.first_span_at = clock.now() - timedelta(days=30)
    project.save()
    keeping.put_size(project.pk, keeping.TRACES, keeping.Measured(70_000, 700 * 1024**2, 70 * 1024**2, 7.0, False))

    page = sign_in("bob").get(RETENTION).content.decode()
    told = sign_in("bob").get("/api/v1/retention?project=shop").json()

    assert "700.0\xa0MB" in page
    assert "about 900.0\xa0MB" in page  # 10 MB a day for 90 days
    traces = next(row for row in told["kinds"] if row["kind"] == "traces")
    assert (traces["bytes_a_day"], traces["levels_off_at_bytes"]) == (10 * 1024**2, 900 * 1024**2)
    assert next(row for row in told["kinds"] if row["kind"] == "totals")["kept_days"] is None
    assert next(row for row in told["kinds"] if row["kind"] == "text")["bytes"] is None


def test_a_sweep_that_stands_still_is_seen(sign_in, project):
    now = clock.now()
    keeping.begin(project.pk, keeping.TEXT, now)
    keeping.end(project.pk, keeping.TEXT, keeping.Outcome(5, 500, None, True))
    client = sign_in("bob")
    assert "Text are past" not in client.get(RETENTION).content.decode()

    RetentionDay.objects.update(ended_at=now - timedelta(hours=5), began_at=now - timedelta(hours=5))

    assert "past their days" in client.get(RETENTION).content.decode()
    kinds = client.get("/api/v1/retention?project=shop").json()["kinds"]
    assert next(row for row in kinds if row["kind"] == "text")["standing"] == "late"


def test_admins_ask_for_a_sweep_and_it_is_audited(sign_in, project):
    assert sign_in("alice").post(RETENTION + "sweep/").status_code == 302
    assert AuditEntry.objects.filter(action="retention.sweep").count() == 1
    assert sign_in("charlie").get(RETENTION).status_code == 404


def test_measuring_shares_a_table_out_by_rows(project):
    assert measuring.measure() >= 1

    sizes = keeping.read_sizes(project)

    assert set(sizes) == set(keeping.SIZED)
    assert sizes[keeping.TRACES].rows == 0
    assert sizes[keeping.TRACES].week_bytes is None


def test_an_export_is_asked_for_made_downloaded_and_removed(sign_in, project):
    alice = sign_in("alice")
    assert alice.post(EXPORTS, {"user": "", "csv": "on"}).status_code == 302
    archive = Archive.objects.get()
    assert "Waiting" in alice.get(EXPORTS).content.decode()
    assert alice.get(f"{EXPORTS}{archive.pk}/file/").status_code == 404
    assert work.run_now(Job.objects.get(pk=archive.job_id)).state == "done"

    answer = alice.get(f"{EXPORTS}{archive.pk}/file/")

    with tarfile.open(fileobj=io.BytesIO(b"".join(answer.streaming_content))) as tar:
        names = tar.getnames()
    assert names[0].endswith("/manifest.json")
    assert any("projects_project-" in name for name in names)
    assert answer["Content-Disposition"].startswith("attachment")
    assert alice.post(f"{EXPORTS}{archive.pk}/remove/").status_code == 302
    assert not ArchiveChunk.objects.exists()
    actions = list(AuditEntry.objects.order_by("pk").values_list("action", flat=True))
    assert actions[-3:] == ["project.export", "project.export.download", "project.export.drop"]
    assert sign_in("charlie").get(f"{EXPORTS}{archive.pk}/file/").status_code == 404


def test_the_same_by_rest(client, project):
    headers = {"Authorization": f"Bearer {make_key(project, 'k', ('admin',)).secret}"}
    asked = client.post("/api/v1/exports", {"csv": False}, "application/json", headers=headers)
    assert asked.status_code == 202, asked.content
    path = f"/api/v1/exports/{asked.json()['id']}"
    assert client.get(path + "/file", headers=headers).status_code == 409
    work.run_now(Job.objects.get(kind="archive.export"))

    assert client.get(path, headers=headers).json()["state"] == "done"
    assert b"".join(client.get(path + "/file", headers=headers).streaming_content)[:9] == b"telltale-"
    assert client.delete(path, headers=headers).status_code == 204
    assert client.get(path, headers=headers).json()["state"] == "dropped"
    assert client.get("/api/v1/exports/999999", headers=headers).status_code == 404


def test_archives_go_after_their_days_and_at_once_after_an_erasure(project):
    old, young, touched = (
        Archive.objects.create(project=project, finished_at=clock.now(), user_id="ann") for _ in range(3)
    )
    Archive.objects.filter(pk=old.pk).update(finished_at=clock.now() - timedelta(days=4))
    for archive in (old, young, touched):
        ArchiveChunk.objects.create(archive=archive, name="a", number=0, data=b"x")

    assert archives.sweep() == 1
    assert set(ArchiveChunk.objects.values_list("archive_id", flat=True)) == {young.pk, touched.pk}
    Erasure.objects.create(
        project_id=project.pk, organisation_id=project.organisation_id, project_slug="shop", kind="user",
        subject_key="12345678-1234-5678-1234-567812345678",
        asked_at=clock.now() + timedelta(seconds=1),
    )  # fmt: skip
    assert archives.sweep() == 2
    assert not ArchiveChunk.objects.exists()
    assert not Archive.objects.exclude(user_id="").exists()
