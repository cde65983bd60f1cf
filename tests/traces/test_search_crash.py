"""The indexer killed with -9 again and again: nothing is skipped, nothing counts twice."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from uuid import UUID

import pytest

from telltale.lib.db import raw_cursor
from tests.conftest import ROOT, database_url
from traces import indexing
from traces.read import TraceFilter, list_traces
from traces.read.search import read_state

INDEXER = """
import django
django.setup()
from traces import indexing
from traces.write import search, search_merge
search.PASS_TRACES = 7
search_merge.RUN = 3
print("ready", flush=True)
while True:
    search.index_pass({project}, 7)
    indexing.merge_segments(1)
"""
TRACES = 120
KILLS = 5


@pytest.mark.process
def test_an_indexer_killed_at_any_moment_loses_and_repeats_nothing(committed_db, otlp, shop):
    project = shop.project.pk
    indexing.index_changes()
    otlp.send(*[otlp.generation(f"{n:032x}", f"{n:016x}", said=f"planted number{n}") for n in range(1, TRACES + 1)])
    environment = os.environ | {
        "TELLTALE_DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "telltale.settings",
        "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}",
    }
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", INDEXER.format(project=project)], env=environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.03 + 0.07 * kill)
        process.kill()
        process.wait(10)
        process.stdout.close()
        if kill == 2:
            otlp.send(*[otlp.generation(f"{n:032x}", f"{n + 500:016x}", said="later") for n in range(1, 31)])
    wait_for_the_dead(project)
    indexing.index_changes()
    indexing.merge_segments()

    assert read_state(project).pending == 0
    page = list_traces(project, TraceFilter(q="planted"))
    assert (page.count.n, page.count.is_exact) == (TRACES, True)
    assert list_traces(project, TraceFilter(q="later")).count.n == 30
    assert [row.trace_id for row in list_traces(project, TraceFilter(q="number77")).rows] == [UUID(int=77)]
    with raw_cursor() as cursor:
        cursor.execute("SELECT sum(docs - gone), (SELECT count(*) FROM traces_search_doc) FROM traces_search_segment")
        assert cursor.fetchone() == (TRACES, TRACES)
        cursor.execute(
            "SELECT count(*) FROM traces_search_block AS b WHERE NOT EXISTS"
            " (SELECT 1 FROM traces_search_segment AS s WHERE s.segment_id = b.segment_id)"
        )
        assert cursor.fetchone() == (0,)


def wait_for_the_dead(project):
    """The server notices within moments that its client is gone; until then the dead hold their locks."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with raw_cursor() as cursor:
            cursor.execute("SELECT 1 FROM traces_search_state WHERE project_id = %s FOR UPDATE SKIP LOCKED", (project,))
            if cursor.fetchone():
                return
        time.sleep(0.05)
