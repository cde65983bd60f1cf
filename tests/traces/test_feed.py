"""The feed: every commit that changes traces tells its consumers, who take each entry once or, dying, not at all."""

from __future__ import annotations

import pytest
from django.db import transaction

from telltale.lib.db import raw_cursor
from traces.write import feed
from traces.write.feed import Consumer

TRACES = ("11" * 16, "22" * 16)


def claim(consumer, project, limit=100):
    with transaction.atomic(), raw_cursor() as cursor:
        return feed.claim(cursor, consumer, project.pk, limit)


def claim_and_die(project):
    with transaction.atomic(), raw_cursor() as cursor:
        assert feed.claim(cursor, Consumer.ROLL_UP, project.pk, 10)
        raise RuntimeError("killed")


def changed(told):
    return {trace_id.hex for entry in told for trace_id in entry.trace_ids}


def test_stored_spans_are_told_to_roll_ups_and_to_search(otlp, shop):
    otlp.send(otlp.span(TRACES[0], "01" * 8), otlp.span(TRACES[1], "02" * 8))
    with raw_cursor() as cursor:
        assert feed.open_projects(cursor, Consumer.ROLL_UP) == [shop.project.pk]
        assert feed.open_projects(cursor, Consumer.FORWARD) == []
    assert changed(claim(Consumer.ROLL_UP, shop.project)) == set(TRACES)
    assert changed(claim(Consumer.SEARCH, shop.project)) == set(TRACES)
    assert claim(Consumer.ROLL_UP, shop.project) == []


def test_what_was_stored_already_tells_nothing(otlp, shop):
    otlp.send(otlp.span(TRACES[0], "01" * 8))
    claim(Consumer.ROLL_UP, shop.project)
    otlp.send(otlp.span(TRACES[0], "01" * 8))
    assert claim(Consumer.ROLL_UP, shop.project) == []


def test_an_entry_comes_back_where_its_consumer_died(otlp, shop):
    otlp.send(otlp.span(TRACES[0], "01" * 8))
    with pytest.raises(RuntimeError):
        claim_and_die(shop.project)
    assert changed(claim(Consumer.ROLL_UP, shop.project)) == {TRACES[0]}


def test_the_oldest_come_first_and_no_more_than_asked(otlp, shop):
    for trace in TRACES:
        otlp.send(otlp.span(trace, "01" * 8))
    assert changed(claim(Consumer.ROLL_UP, shop.project, 1)) == {TRACES[0]}
    assert changed(claim(Consumer.ROLL_UP, shop.project, 1)) == {TRACES[1]}
