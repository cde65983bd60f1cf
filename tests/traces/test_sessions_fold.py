"""Sessions follow real traffic through the fold: late roots that name another session, repeats, another price."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from telltale.jobs import work
from telltale.jobs.models import Job
from tests.traces.rollup_traffic import make_traffic
from tests.traces.test_sessions_refresh import KEPT, ORACLE, row_of, rows
from traces import prices, reprice
from traces.folding import fold_roll_ups
from traces.tasks import refresh_sessions
from traces.write import rollup_memory

pytestmark = pytest.mark.django_db


def fold():
    while fold_roll_ups().traces:
        pass


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    rollup_memory.forget()
    monkeypatch.setattr(reprice, "wake", lambda task: None)


def price_again(project, model, rate):
    """Enter a price and put it into everything stored, as the pages do."""
    data = {"model": model, "input_fresh": rate, "output_text": rate}
    prices.add_price(project, data, UTC, by_id=None)
    now = datetime.now(UTC)
    order = reprice.Order(now - timedelta(days=30), now + timedelta(hours=1))
    job = reprice.start_preview(project, order, by_id=None)
    work.run_now(Job.objects.get(pk=job))
    job = reprice.start_apply(project, job, by_id=None)
    work.run_now(Job.objects.get(pk=job))


@pytest.mark.parametrize("seed", range(4))
def test_sums_follow_whatever_arrives_in_whatever_order(shop, otlp, seed):
    rng, project = random.Random(seed), shop.project
    spans = make_traffic(otlp, seed + 100, traces=25)
    moved = set()

    while spans:
        n = rng.randint(1, 12)
        otlp.send(*spans[:n])
        if rng.random() < 0.2:
            otlp.send(*spans[:n])
        spans = spans[n:]
        fold()
        moved.add(tuple(row[0:2] for row in rows(KEPT, project.pk)))
        assert rows(KEPT, project.pk) == rows(ORACLE, project.pk)
    before = rows(KEPT, project.pk)
    price_again(project, "house-7b", "3")
    fold()

    assert rows(KEPT, project.pk) == rows(ORACLE, project.pk)
    assert sum(row[2] for row in rows(KEPT, project.pk)) > sum(row[2] for row in before)
    assert len(moved) > 3


def test_a_root_that_comes_late_takes_its_trace_to_another_session(shop, otlp):
    trace, root, child = "1" * 32, "a" * 16, "b" * 16
    otlp.send(otlp.generation(trace, child, root, attributes={"session.id": "guessed"}))
    fold()
    first = row_of(shop.project.pk, "guessed").turns

    otlp.send(otlp.span(trace, root, attributes={"session.id": "right"}))
    fold()

    assert first == 1
    assert row_of(shop.project.pk, "guessed") is None
    assert row_of(shop.project.pk, "right").turns == 1


def test_the_task_finds_nothing_where_no_session_is_long(shop, otlp):
    otlp.send(otlp.span("1" * 32, "a" * 16, attributes={"session.id": "s"}))
    fold()

    assert refresh_sessions() == 0
