"""Failed jobs by REST and at a terminal: listed, tried again, put aside, audited; the operator's alone."""

from __future__ import annotations

import io

import pytest
from django.test import Client

from telltale.audit.models import AuditEntry
from telltale.jobs.models import Job, JobState
from telltale.lib import clock
from telltale.projects.keys import make_key
from telltale.projects.models import Project
from telltale.run.commands import run_command

ADDRESS = "/api/v1/installation/jobs"


@pytest.fixture
def operator(alice, sign_in):
    """A client of somebody who operates the installation."""
    alice.is_superuser = True
    alice.save()
    return sign_in(alice)


@pytest.fixture
def failed(alice):
    """`failed(kind)` is a job of that kind that failed."""
    shop = Project.objects.get(slug="shop")

    def make(kind="reprice", **more):
        values = {"state": JobState.FAILED, "error": "No price book.", "attempts": 5, "progress": 7, "total": 10}
        return Job.objects.create(kind=kind, project=shop, finished_at=clock.now(), **values | more)

    return make


def at_terminal(*arguments):
    out = io.StringIO()
    return run_command(["jobs", *arguments], out), out.getvalue()


def state_of(job):
    return Job.objects.get(pk=job.pk).state


def test_rest_lists_what_failed_page_by_page(operator, failed):
    jobs = [failed(), failed("export"), failed()]
    failed(state=JobState.DONE)

    first = operator.get(ADDRESS, {"limit": 2}).json()
    second = operator.get(first["next"]).json()
    exports = operator.get(ADDRESS, {"kind": "export"}).json()

    assert [row["id"] for row in first["items"] + second["items"]] == [job.pk for job in reversed(jobs)]
    assert second["next"] is None
    assert [row["kind"] for row in exports["items"]] == ["export"]
    assert first["items"][0]["project"] == "shop"
    assert first["items"][0]["error"] == "No price book."


@pytest.mark.parametrize(("act", "state"), [("retry", JobState.PENDING), ("discard", JobState.CANCELLED)])
def test_rest_acts_once_and_writes_it_down_once(operator, failed, act, state):
    job = failed()

    done = operator.post(f"{ADDRESS}/{job.pk}/{act}")
    again = operator.post(f"{ADDRESS}/{job.pk}/{act}")

    assert (done.status_code, done.json()) == (200, {"id": job.pk, "act": act})
    assert again.status_code == 409
    assert state_of(job) == state
    entry = AuditEntry.objects.get(action=f"job.{act}")
    assert (entry.actor, entry.target) == ("alice@example.com", f"job {job.pk} (reprice)")
    assert operator.post(f"{ADDRESS}/987654321/{act}").status_code == 404
    assert operator.post(f"{ADDRESS}/0x1/{act}").status_code == 404


def test_nobody_else_lists_or_acts(alice, charlie, sign_in, failed):
    job = failed()
    key = make_key(Project.objects.get(slug="shop"), "all", ("read", "write", "admin"))
    holder = Client(headers={"Authorization": f"Bearer {key.secret}"})

    for client, wanted in ((sign_in(alice), 404), (sign_in(charlie), 404), (holder, 403), (Client(), 401)):
        assert client.get(ADDRESS).status_code == wanted
        assert client.post(f"{ADDRESS}/{job.pk}/retry").status_code == wanted
    assert state_of(job) == JobState.FAILED


def test_terminal_lists_queues_and_what_failed(db, failed):
    job = failed(error="No price\nbook\x1b[31m.")

    code, told = at_terminal()

    assert code == 0
    assert "Queue judge" in told
    assert "Text search" in told
    assert f"{job.pk} reprice of shop: No price book" in told
    assert "\x1b" not in told
    assert "7 of 10 done" in told


def test_terminal_tries_again_by_number(failed):
    job, other = failed(), failed()

    code, told = at_terminal("retry", str(job.pk))

    assert (code, state_of(job), state_of(other)) == (0, JobState.PENDING, JobState.FAILED)
    assert told == f"Job {job.pk} is tried again.\n"
    assert AuditEntry.objects.get(action="job.retry").actor == "telltale jobs"
    assert at_terminal("retry", str(job.pk))[0] == 1
    assert at_terminal("retry", "987654321") == (1, "Job 987654321 is not there: nothing was done.\n")


def test_terminal_tries_every_one_of_a_kind_again(failed):
    ours, other = [failed(), failed()], failed("export")

    code, told = at_terminal("retry", "--all", "reprice")

    assert (code, told) == (0, "2 jobs are tried again, of the kind reprice.\n")
    assert {state_of(job) for job in ours} == {JobState.PENDING}
    assert state_of(other) == JobState.FAILED


@pytest.mark.parametrize("arguments", [["retry"], ["discard"], ["retry", "1", "--all", "reprice"], ["list", "1"]])
def test_terminal_asks_which_jobs_are_meant(db, failed, arguments):
    job = failed()

    code, _ = at_terminal(*arguments)

    assert code == 2
    assert state_of(job) == JobState.FAILED
