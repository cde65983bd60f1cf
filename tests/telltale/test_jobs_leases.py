"""Rows are claimed by one holder at a time, and by somebody else once a lease has run out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from telltale.jobs import leases, work
from telltale.jobs.models import Job, JobState, Lease


@pytest.fixture
def count_job(db):
    """A kind of job that counts to its parameter `to` in steps; `seen` are the cursors it was called with."""
    seen = []

    @work.register("test.count")
    def count(run):
        seen.append(run.cursor)
        for number in range(run.cursor.get("at", 0), run.params["to"]):
            with transaction.atomic():
                run.step(cursor={"at": number + 1}, progress=number + 1, total=run.params["to"])
            if number + 1 == run.params.get("break_at") and len(seen) == 1:
                raise OSError("somebody pulled a plug")
            if number + 1 == run.params.get("cancel_at"):
                work.cancel(run.job.pk)
        return {"counted": run.params["to"]}

    yield seen
    work._handlers.pop("test.count")


def expire(job_id):
    Job.objects.filter(pk=job_id).update(lease_until=Now() - timedelta(seconds=1))


def test_claimed_row_is_nobody_elses(count_job):
    work.start("test.count", params={"to": 1})

    first = leases.claim(Job.objects.all(), seconds=60, holder="one")

    assert len(first) == 1
    assert leases.claim(Job.objects.all(), seconds=60, holder="two") == []


def test_expired_lease_is_free_and_its_old_holder_finds_out(count_job):
    job = work.start("test.count", params={"to": 1})
    (old,) = leases.claim(Job.objects.all(), seconds=60, holder="one")
    expire(job.pk)

    (new,) = leases.claim(Job.objects.all(), seconds=60, holder="two")

    assert new.attempts == 2
    assert leases.renew(old, seconds=60) is False
    assert leases.release(old) is False
    assert leases.renew(new, seconds=60) is True


def test_claim_takes_the_oldest_first_and_no_more_than_asked(count_job):
    ids = [work.start("test.count", params={"to": 1}).pk for _ in range(3)]

    claimed = leases.claim(Job.objects.all(), seconds=60, limit=2)

    assert [job.pk for job in claimed] == ids[:2]


def test_right_is_held_by_one_until_it_expires(db):
    assert leases.hold("scheduler", seconds=60, holder="one")
    assert leases.hold("scheduler", seconds=60, holder="one")
    assert not leases.hold("scheduler", seconds=60, holder="two")

    Lease.objects.update(until=Now() - timedelta(seconds=1))

    assert leases.hold("scheduler", seconds=60, holder="two")
    assert not leases.hold("scheduler", seconds=60, holder="one")


def test_right_given_back_is_free_at_once(db):
    leases.hold("scheduler", seconds=60, holder="one")

    leases.let_go("scheduler", holder="two")
    assert not leases.hold("scheduler", seconds=60, holder="two")

    leases.let_go("scheduler", holder="one")
    assert leases.hold("scheduler", seconds=60, holder="two")


def test_job_runs_to_its_result(count_job):
    work.start("test.count", params={"to": 3})

    job = work.run_next()

    assert (job.state, job.progress, job.total, job.result) == (JobState.DONE, 3, 3, {"counted": 3})
    assert job.lease_until is None
    assert work.run_next() is None


def test_broken_job_goes_on_where_its_last_step_was_committed(count_job):
    job = work.start("test.count", params={"to": 5, "break_at": 2})

    with pytest.raises(OSError, match="plug"):
        work.run_next()
    waiting = Job.objects.get(pk=job.pk)
    assert (waiting.state, waiting.progress, waiting.error) == (JobState.PENDING, 2, "OSError")
    assert work.run_next() is None  # a pause first
    expire(job.pk)
    ended = work.run_next()

    assert ended.state == JobState.DONE
    assert count_job == [{}, {"at": 2}]


def test_job_that_always_breaks_ends_as_failed_with_its_reason(db):
    @work.register("test.break")
    def always(run):
        raise OSError("no")

    job = work.start("test.break")
    for _ in range(work.ATTEMPTS_MAX):
        with pytest.raises(OSError, match="no"):
            work.run_next()
        expire(job.pk)

    assert work.run_next() is None
    ended = Job.objects.get(pk=job.pk)
    assert (ended.state, ended.error, ended.attempts) == (JobState.FAILED, "OSError", work.ATTEMPTS_MAX)
    assert work.retry(job.pk)
    work._handlers.pop("test.break")


def test_job_that_kills_its_worker_each_time_ends_as_failed(count_job):
    job = work.start("test.count", params={"to": 1})
    Job.objects.filter(pk=job.pk).update(attempts=work.ATTEMPTS_MAX, state=JobState.RUNNING)
    expire(job.pk)

    ended = work.run_next()

    assert ended.state == JobState.FAILED
    assert "ended its worker" in ended.error
    assert count_job == []


def test_job_its_handler_gives_up_is_not_tried_again(db):
    @work.register("test.refuse")
    def refuse(run):
        raise work.JobFailed("There is nothing to price.")

    work.start("test.refuse")

    job = work.run_next()

    assert (job.state, job.error) == (JobState.FAILED, "There is nothing to price.")
    work._handlers.pop("test.refuse")


def test_cancelled_job_stops_at_its_next_step(count_job):
    work.start("test.count", params={"to": 9, "cancel_at": 4})

    job = work.run_next()

    assert (job.state, job.progress) == (JobState.CANCELLED, 4)


def test_step_of_a_lost_lease_is_rolled_back(count_job):
    job = work.start("test.count", params={"to": 1})
    (held,) = leases.claim(Job.objects.all(), seconds=60, holder="one")
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, lease_by="two")

    with pytest.raises(work.LeaseLost):
        work.Run(held).step(cursor={"at": 1}, progress=1)

    assert Job.objects.get(pk=job.pk).progress == 0


def test_unknown_kind_is_not_started(db):
    with pytest.raises(KeyError):
        work.start("nobody.does.this")


def test_claim_skips_what_another_transaction_is_claiming(committed_db):
    first, second = Job.objects.create(kind="x"), Job.objects.create(kind="x")
    other = connection.copy()
    other.set_autocommit(False)
    with other.cursor() as cursor:
        cursor.execute("SELECT id FROM jobs_job WHERE id = %s FOR UPDATE", [first.pk])

        claimed = leases.claim(Job.objects.all(), seconds=60, limit=5)

    other.rollback()
    other.close()
    assert [job.pk for job in claimed] == [second.pk]
