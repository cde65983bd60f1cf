"""A database that others make trouble in: no connection left, connections cut, locks, transactions left open."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from benchmarks._product import Product
from benchmarks.chaos.scene import DATABASE_BAR_S, Scene, scenario, started, wait_for

# The embedded server ends a client that leaves a transaction open for so long.
IDLE_LIMIT_S = 60.0


@contextmanager
def all_connections(product: Product) -> Iterator[int]:
    """Hold every connection that the server gives, while the block runs; how many were got."""
    held: list[psycopg.Connection[Any]] = []
    try:
        while len(held) < 500:
            try:
                held.append(psycopg.connect(product.dsn, connect_timeout=5))
            except psycopg.OperationalError:
                break
        yield len(held)
    finally:
        for connection in held:
            connection.close()


@scenario("connections-exhausted", "R10")
def connections_exhausted(scene: Scene) -> None:
    """Another client holds every connection of the server, and web and worker lose theirs"""
    with started() as product:
        with scene.load(product) as load:
            time.sleep(3)
            began = time.monotonic()
            lasts = scene.seconds(10, 40)
            with psycopg.connect(product.dsn, autocommit=True) as axe:
                taken = 0
                # Theirs are cut until the client has them all.
                with contextlib.ExitStack() as stack:
                    for _ in range(5):
                        taken += stack.enter_context(all_connections(product))
                        axe.execute(
                            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user "
                            "AND pid <> pg_backend_pid() AND application_name <> '' AND backend_type = 'client backend'"
                        )
                    taken += stack.enter_context(all_connections(product))
                    scene.say(f"{taken} connections held")
                    time.sleep(lasts)
            ended = time.monotonic()
            scene.recovered(load, ended, bar=DATABASE_BAR_S)
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("connections-cut", "R1 R2 R10")
def connections_cut(scene: Scene) -> None:
    """Every connection to the database is ended by the server twice a second, in the middle of whatever it does"""
    with started() as product:
        with scene.load(product) as load, product.connect() as axe:
            began = time.monotonic()
            cut = 0
            while time.monotonic() - began < scene.seconds(10, 40):
                row = axe.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE usename = current_user AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                ).fetchone()
                cut += int(str(row[0])) if row else 0
                time.sleep(0.5)
            ended = time.monotonic()
            scene.say(f"{cut} connections were cut")
            scene.recovered(load, ended, bar=DATABASE_BAR_S)
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("table-locked", "R10")
def table_locked(scene: Scene) -> None:
    """Somebody holds an exclusive lock on the spans: requests are refused in time, none hangs, none is lost"""
    with started() as product:
        with scene.load(product) as load, psycopg.connect(product.dsn) as holder:
            time.sleep(3)
            began = time.monotonic()
            holder.execute("LOCK TABLE traces_span IN ACCESS EXCLUSIVE MODE")
            time.sleep(scene.seconds(12, 45))
            holder.rollback()
            ended = time.monotonic()
            scene.recovered(load, ended, bar=DATABASE_BAR_S)
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("long-transaction", "R1 R4")
def long_transaction(scene: Scene) -> None:
    """A long-running query of somebody else holds its snapshot and an open transaction: work goes on beside it"""
    with started() as product:
        with scene.load(product) as load, psycopg.connect(product.dsn) as other:
            time.sleep(2)
            other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            other.execute("SELECT pg_current_xact_id(), (SELECT count(*) FROM traces_span)")
            began = time.monotonic()
            # Busy, so that no time-out for idle ones ends it; nobody may wait for its end.
            lasts = scene.seconds(15, 90)
            while time.monotonic() - began < lasts:
                other.execute("SELECT pg_sleep(1)")
            since = time.monotonic()
            behind = product.one(
                "SELECT coalesce(max(extract(epoch FROM now() - received_at)), 0)::bigint "
                "FROM traces_ingest_batch WHERE NOT accounted"
            )
            scene.report.add("oldest batch not yet booked, meanwhile", behind, "s", 30)
            scene.answered(load, began, since)
            other.rollback()
        scene.drained(product, since)
        scene.balance(load)


@scenario("idle-in-transaction", "R10")
def idle_in_transaction(scene: Scene) -> None:
    """A client locks what requests and the scheduler must write, and goes to sleep: the server ends it"""
    with started() as product:
        with scene.load(product) as load, contextlib.suppress(psycopg.Error):
            time.sleep(3)
            other = psycopg.connect(product.dsn)
            other.execute("SELECT * FROM jobs_lease FOR UPDATE")
            other.execute("SELECT * FROM jobs_heartbeat FOR UPDATE")
            other.execute("SELECT * FROM traces_trace FOR UPDATE")
            began = time.monotonic()
            pid = other.info.backend_pid
            gone = wait_for(
                lambda: not product.one(f"SELECT count(*) FROM pg_stat_activity WHERE pid = {pid}"), IDLE_LIMIT_S + 30
            )
            scene.report.add("ended by the server", gone, "s", IDLE_LIMIT_S + 5)
            ended = time.monotonic()
            scene.recovered(load, ended, bar=DATABASE_BAR_S)
            scene.answered(load, began, ended)
            runs = wait_for(lambda: product.one("SELECT count(*) FROM jobs_lease WHERE until > now()") > 0, 60)
            scene.report.add("a scheduler again", runs, "s", 30)
            other.close()
        scene.drained(product, ended)
        scene.balance(load)
