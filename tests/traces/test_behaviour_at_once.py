"""Senders, folds, and people who change definitions, all at once: no deadlock, and every count right at the end."""

from __future__ import annotations

import random
import threading
from datetime import timedelta

import pytest
from django.db import close_old_connections, connection

from telltale.jobs import work
from telltale.lib import clock
from tests.traces.behaviour_rows import OF_RULES, by_rules, kept, recounted, rows
from tests.traces.test_behaviour_fold import hex_of, send_turn
from traces import behaving, signalling
from traces.folding import fold_roll_ups
from traces.write import behaviour as write
from traces.write import refold, rollup_memory

ROUNDS = 12


@pytest.mark.usefixtures("committed_db")
def test_everybody_at_once_ends_with_the_counts_of_the_rows(shop, otlp, monkeypatch):
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    monkeypatch.setattr(behaving, "SETTLE", timedelta(0))
    monkeypatch.setattr(refold, "REFOLD_UNITS", 3)
    rollup_memory.forget()
    write.forget()
    signalling.forget()
    shop.key("ingest")  # made before the threads begin
    failed, project = [], shop.project
    begin = threading.Barrier(5)

    def thread(work_of_it):
        def run():
            try:
                begin.wait()
                for at in range(ROUNDS):
                    work_of_it(at)
            except Exception as error:  # noqa: BLE001
                failed.append(error)
            finally:
                connection.close()

        return threading.Thread(target=run)

    def send(at):
        for number in range(at * 3 + 1, at * 3 + 4):
            send_turn(otlp, number, f"s{number % 5}" if number % 7 else None, number * 9, "How do I reset my password?")

    def thumbs(at):
        rng = random.Random(at)
        items = [
            {"name": rng.choice(["thumbs_up", "thumbs_down", "copied"]), "id": str(rng.randint(0, 9))}
            | rng.choice([{"session_id": f"s{rng.randint(0, 5)}"}, {"trace_id": hex_of(rng.randint(1, 36))}])
            for _ in range(20)
        ]
        signalling.put_signals(project.pk, items, signalling.Sender())

    def fold(at):
        behaving.take_changes(3)
        behaving.fold_due(4)

    def define(at):
        if at % 4 == 0:
            behaving.save_definition(project, {"abandon_answers": at % 3, "idle_minutes": 1}, by_id=None)
        work.run_next()

    threads = [thread(each) for each in (send, thumbs, fold, fold, define)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    close_old_connections()
    while work.run_next():
        pass
    fold_roll_ups()
    while behaving.take_changes() or behaving.fold_due().units:
        pass
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_behaviour_due SET due_at = %s", [clock.now()])
    while behaving.fold_due().units:
        pass

    assert failed == []
    assert kept(project.pk) == recounted(project.pk)
    assert rows(project.pk, *OF_RULES) == by_rules(project.pk)
    assert len(rows(project.pk, "unit_key")) >= 9
