"""A worker killed with -9 in the middle of counting again, after it wrote and before it committed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from django.db import connection

from telltale.jobs import work
from telltale.lib.db import raw_cursor
from tests.conftest import ROOT, database_url
from tests.traces.behaviour_rows import ask, kept, recounted, rows
from tests.traces.session_rows import NOON, put_trace, refresh
from traces import behaving
from traces.behaviour.types import Stratum
from traces.read import behaviour as read
from traces.write import behaviour as write

# A worker as a process of its own. In its third slice it stops after everything is written and before the commit, and
# says so on its output.
WORKER = """
import os, time
os.environ["DJANGO_SETTINGS_MODULE"] = "telltale.settings"
import django
django.setup()
from telltale.jobs import work
from traces import behaving
from traces.write import behaviour, refold
refold.REFOLD_UNITS = 3
behaving.pause = lambda seconds: None
settle, slices = behaviour.settle, []
def stop(*arguments):
    settle(*arguments)
    slices.append(1)
    if len(slices) == 3:
        print("written", flush=True)
        time.sleep(600)
behaviour.settle = stop
work.run_next()
"""

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def test_counting_again_goes_on_after_its_worker_was_killed(shop, tmp_path, monkeypatch):
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    write.forget()
    project = shop.project.pk
    for number in range(1, 11):
        put_trace(project, number, f"s{number}", at=-number, preview_in="Where is my order?", preview_out="There.")
    refresh(project, *(f"s{number}" for number in range(1, 11)))
    behaving.start_stale()
    environment = {
        **os.environ,
        "TELLTALE_DATABASE_URL": database_url(),
        "TELLTALE_HOME": str(tmp_path),
        "TELLTALE_SECRET_KEY": "only-for-tests-" + "k" * 40,
        "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout.readline() == "written\n"
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()

    midway = read.progress(project)
    done = len(rows(project, "unit_key"))
    at_the_kill = kept(project) == recounted(project)
    # The killed process' transaction ends when PostgreSQL notices; waiting for its rows covers that.
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20s'")
        cursor.execute("UPDATE jobs_job SET lease_until = now() - interval '1 s' WHERE state = 'running'")
    while work.run_next():
        pass
    with raw_cursor() as cursor:
        write.mark_sessions(cursor, project, ["s1", "s2"], NOON)
    while behaving.fold_due().units:
        pass

    assert (midway.is_running, midway.done, midway.total, done) == (True, 6, 20, 6)
    assert at_the_kill
    assert not read.progress(project).is_running
    assert {tuple(row) for row in rows(project, "stratum", "definition")} == {(Stratum.ABANDONED, 0)}
    assert kept(project) == recounted(project)
    assert ask("SELECT sum(n) FROM traces_behaviour_hour WHERE project_id = %s", project) == [(10,)]
