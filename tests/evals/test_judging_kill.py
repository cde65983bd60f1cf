"""Judging under `kill -9`, against a model endpoint that fails in every way: nothing missing, nothing twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest

from evals.judging import context
from evals.models import SpendDay
from telltale.lib import format as fmt
from tests.conftest import database_url
from tests.evals.judging_kit import (
    StandIn,
    draw,
    make_connection,
    make_plan,
    make_version,
    reason_tallies,
    reasons,
    set_budget,
    set_noon,
    sql,
    states,
    store_traces,
    tallies,
)

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parent.parent.parent
TRACES, KILLS, THREADS = 300, 10, 4
# 15 % in all.
FAULTS = ("limited", "prose", "range", "half", "refusal", "late", "server")
FAULT_SHARE = 0.15
WORKER = """
import os, sys
sys.path[:0] = {paths!r}
os.environ["DJANGO_SETTINGS_MODULE"] = "telltale.settings"
import django
django.setup()
from evals.judging import answers, models, outcomes
from datetime import timedelta
models.LEASE_SECONDS, models.RENEW_SECONDS, models.TEND_SECONDS = 4.0, 0.5, 0.3
answers.PAUSE_FIRST, answers.PAUSE_MAX = 0.1, 0.5
import time
while True:
    models.judge_models(30.0)
    time.sleep(0.05)
"""


def worker(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(paths=[str(ROOT), str(ROOT / "platform")]))
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TELLTALE_", "DJANGO_"))}
    told = {
        "TELLTALE_DATABASE_URL": database_url(),
        "TELLTALE_HOME": str(tmp_path),
        "TELLTALE_EGRESS_ALLOW": "127.0.0.0/8",
        "TELLTALE_JUDGE_THREADS": str(THREADS),
    }
    return subprocess.Popen([sys.executable, str(script)], env=kept | told, stderr=subprocess.DEVNULL)


@pytest.fixture
def stand_in():
    rng = random.Random(5)
    started = StandIn(
        lambda n, user: rng.choice(FAULTS) if rng.random() < FAULT_SHARE else "", late_seconds=2.5, delay=0.03
    )
    yield started
    started.close()


def wait_until(condition, seconds):
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if condition():
            return
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s: {states_of()}")


def states_of():
    return sql("SELECT state, reason, count(*) FROM evals_judgement GROUP BY 1, 2")


@pytest.mark.django_db(transaction=True)
def test_sums_add_up_and_the_bill_is_the_spend_though_workers_are_killed(
    committed_db, project, alice, key, sign_in, client, stand_in, tmp_path
):
    context.forget()
    connection = make_connection(project, stand_in.url, timeout_seconds=2.0, at_a_time=2 * THREADS)
    version = make_version(project, endpoint=connection)
    make_plan(version, {"kind": "all"})
    set_budget(project, budget_pico_day=None)
    set_noon(project)
    # Answers that differ, so that the endpoint can tell its calls apart.
    ids = [store_traces(project, 1, answer=f"Number {n}.")[0] for n in range(TRACES)]
    assert draw(project, ids) == TRACES
    # Two at once, of which one and the other are killed in turn.
    kills = 0
    running = [worker(tmp_path), worker(tmp_path)]
    try:
        while kills < KILLS:
            before = stand_in.calls
            wait_until(lambda b=before: stand_in.calls >= b + 12, 90)
            victim = running.pop(0)
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            kills += 1
            assert sum(tallies(project).values()) == sum(states(project).values()) == TRACES
            running.append(worker(tmp_path))
        wait_until(lambda: set(states(project)) <= {"scored", "failed"}, 240)
    finally:
        for each in running:
            each.kill()
            each.wait()

    # Each ended once, and both ways of counting agree.
    assert states(project) == tallies(project)
    assert reasons(project) == reason_tallies(project)
    scored = {target for (target,) in sql("SELECT target_id FROM evals_judgement WHERE state = 'scored'")}
    rows = sql("SELECT trace_id, name, count(*) FROM evals_score GROUP BY 1, 2")
    assert {n for _, _, n in rows} == {1}
    assert {trace for trace, _, _ in rows} == scored
    assert len(rows) == 2 * len(scored)
    assert len(scored) > 0.95 * TRACES
    assert sql("SELECT sum(n)::int FROM evals_score_hour WHERE name = 'tone'") == [(len(scored),)]

    # Nothing that was no verdict is a score: the endpoint's verdicts are all fours.
    assert sql("SELECT DISTINCT number FROM evals_score") == [(4.0,)]

    # All were asked for. What was answered twice was lost by a kill, at most once a thread and kill.
    assert len(stand_in.seen) == TRACES
    assert len(stand_in.good) >= len(scored)
    assert sum(n - 1 for n in stand_in.good.values()) <= kills * THREADS
    lost = sql("SELECT sum(lost)::int FROM evals_judgement")[0][0]
    assert lost <= kills * THREADS
    spend = SpendDay.objects.get(project=project, judge_id=0)
    assert (spend.reserved_calls, spend.reserved_pico) == (0, 0)
    # Every answer that was heard is in the spend to the pico-dollar; what was not heard is bounded by what is lost.
    heard = sql("SELECT coalesce(sum(cost_pico), 0)::bigint FROM evals_judgement")[0][0]
    assert spend.spent_pico == heard
    # Of those a kill cost, about: the call that was made again may have had another answer.
    dearest = stand_in.bill_pico / stand_in.answered * 2
    assert spend.spent_pico <= stand_in.bill_pico <= spend.spent_pico + spend.lost_pico + kills * THREADS * dearest
    assert stand_in.calls <= spend.calls + spend.lost_calls
    assert spend.calls + spend.lost_calls - stand_in.calls <= kills * THREADS
    # The page and REST say the same.
    page = sign_in(alice).get("/p/shop/judges/quality/runs/").content.decode()
    assert fmt.cost_exact(spend.spent_pico) in page
    assert fmt.cost_exact(spend.lost_pico) in page
    told = client.get("/api/v1/evaluation/spend", headers={"Authorization": f"Bearer {key.secret}"}).json()
    assert sum(Decimal(day["spent_usd"]) * 10**12 for day in told["items"]) == spend.spent_pico


@pytest.mark.django_db(transaction=True)
def test_a_budget_holds_to_the_calls_under_way_though_workers_are_killed(committed_db, project, tmp_path):
    context.forget()
    model = StandIn(delay=0.02)
    try:
        connection = make_connection(project, model.url, at_a_time=THREADS)
        version = make_version(project, endpoint=connection)
        make_plan(version, {"kind": "all"})
        # About forty calls' worth.
        budget = 40 * 400_000_000
        set_noon(project)
        # Before there was a limit: with one, no more would be drawn than it allows.
        draw(project, store_traces(project, 120))
        set_budget(project, budget_pico_day=budget)
        for _ in range(2):
            running = worker(tmp_path)
            try:
                before = model.calls
                wait_until(lambda b=before: model.calls >= b + 5 or "budget" in str(states_of()), 90)
            finally:
                running.kill()
                running.wait()
        running = worker(tmp_path)
        try:
            wait_until(lambda: set(states_of()) and all(s == "scored" or r == "budget" for s, r, _ in states_of()), 120)
        finally:
            running.kill()
            running.wait()
        most = max(model.bill_pico / max(model.answered, 1), 1)

        assert model.bill_pico <= budget + THREADS * most
        assert model.answered > 5
        assert states(project) == tallies(project)
        # Some may just have been looked at again, where a call of a killed worker was cheaper than set aside for.
        assert reasons(project) == reason_tallies(project)
        assert {("scored", ""), ("pending", "budget")} <= set(reasons(project))
    finally:
        model.close()
