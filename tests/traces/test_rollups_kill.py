"""A worker killed with -9 in the middle of a fold loses nothing and counts nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from random import Random

import pytest

from tests.conftest import ROOT, database_url
from tests.traces import rollup_audit, rollup_traffic
from traces import folding
from traces.write import rollup_memory

# The fold as a process of its own. It stops where the arguments say: after everything is written and before the commit,
# or nowhere; it says on its output when it has come there.
FOLDER = """
import os, sys, time
os.environ["DJANGO_SETTINGS_MODULE"] = "telltale.settings"
import django
django.setup()
from traces import folding
from traces.write import rollups
if sys.argv[1] == "before-commit":
    refresh = rollups.sessions.refresh
    def stop(*arguments):
        refresh(*arguments)
        print("written", flush=True)
        time.sleep(600)
    rollups.sessions.refresh = stop
rollups.SLICE_TRACES = 3
print("ready", flush=True)
while True:
    folding.fold_roll_ups(seconds=0)
"""

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def start(tmp_path, where):
    environment = {
        **os.environ,
        "TELLTALE_DATABASE_URL": database_url(),
        "TELLTALE_HOME": str(tmp_path),
        "TELLTALE_SECRET_KEY": "only-for-tests-" + "k" * 40,
        "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
    }
    return subprocess.Popen(
        [sys.executable, "-c", FOLDER, where], env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def kill(process):
    process.kill()
    process.wait(10)
    process.stdout.close()


def audit(project):
    rollup_memory.forget()
    # The killed process' transaction ends when PostgreSQL notices; the lock's wait covers that.
    deadline = time.monotonic() + 20
    while folding.list_open() and time.monotonic() < deadline:
        folding.fold_roll_ups()
    assert folding.list_open() == []
    rollup_audit.check(project)


def test_killed_before_its_commit(otlp, shop, tmp_path):
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 21, traces=15)):
        pass
    for _ in range(2):
        process = start(tmp_path, "before-commit")
        try:
            assert process.stdout.readline() == "ready\n"
            assert process.stdout.readline() == "written\n"
        finally:
            kill(process)
    audit(shop.project)


def test_killed_at_any_moment_while_spans_come(otlp, shop, tmp_path):
    rng = Random(22)
    batches = rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 22, traces=60), 22)
    for _ in range(5):
        process = start(tmp_path, "nowhere")
        try:
            assert process.stdout.readline() == "ready\n"
            until = time.monotonic() + rng.uniform(0.02, 0.4)
            while time.monotonic() < until:
                next(batches, None)
        finally:
            kill(process)
    for _ in batches:
        pass
    audit(shop.project)
