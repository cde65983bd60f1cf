"""Long jobs in the foreground of a command: progress, the end, and a stop that a worker goes on from."""

from __future__ import annotations

import io
import threading

import pytest

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.run import job_progress
from telltale.run.job_progress import run_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kind(monkeypatch):
    """Registers a handler for jobs of the kind `count`."""

    def register(handler):
        monkeypatch.setitem(work._handlers, "count", handler)
        return Job.objects.create(kind="count", total=3)

    return register


def test_progress_is_printed_until_the_job_ends(kind, monkeypatch):
    monkeypatch.setattr(job_progress, "REPORT_SECONDS", 0.01)
    reported = threading.Event()

    class Out(io.StringIO):
        def write(self, text):
            if "of 3 traces" in text:
                reported.set()
            return super().write(text)

    def count(run):
        run.step(cursor={"at": 2}, progress=2, total=3)
        assert reported.wait(10)
        return {"done": True}

    out = Out()
    job = run_job(kind(count).pk, "shop", out)

    assert (job.state, job.result) == ("done", {"done": True})
    assert "shop: 2 of 3 traces" in out.getvalue()


def test_a_stop_leaves_the_job_to_a_worker(kind):
    def stopped(run):
        run.step(cursor={"at": 1}, progress=1)
        raise KeyboardInterrupt

    row = kind(stopped)

    assert run_job(row.pk, "shop", io.StringIO()) is None
    row.refresh_from_db()
    assert (row.state, row.progress) == ("running", 1)
