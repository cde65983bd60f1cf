"""Rooms above watch a project: what it accepts is told to them once, and nothing of a project nobody watches."""

from __future__ import annotations

import pytest
from django.db import transaction

from traces import changes
from traces.ingest import rules

TRACES = ("11" * 16, "22" * 16)


@pytest.fixture(autouse=True)
def fresh_rules():
    rules.forget()
    yield
    rules.forget()


def take(project):
    with transaction.atomic():
        return [trace_id.hex for trace_id in changes.take(project.pk)]


def take_and_die(project):
    with transaction.atomic():
        assert changes.take(project.pk)
        raise RuntimeError("killed")


def test_a_project_nobody_watches_tells_nothing(otlp, shop):
    otlp.send(otlp.span(TRACES[0], "01" * 8))

    assert changes.open_projects() == []
    assert take(shop.project) == []


def test_new_spans_of_a_watched_project_are_told_once(otlp, shop):
    changes.watch(shop.project.pk)
    changes.watch(shop.project.pk)
    otlp.send(otlp.span(TRACES[0], "01" * 8), otlp.span(TRACES[1], "02" * 8))
    otlp.send(otlp.span(TRACES[0], "03" * 8))
    otlp.send(otlp.span(TRACES[0], "03" * 8))

    assert changes.open_projects() == [shop.project.pk]
    assert sorted(take(shop.project)) == sorted(TRACES)
    assert take(shop.project) == []


def test_what_was_taken_by_one_who_died_is_told_again(otlp, shop):
    changes.watch(shop.project.pk)
    otlp.send(otlp.span(TRACES[0], "01" * 8))

    with pytest.raises(RuntimeError):
        take_and_die(shop.project)

    assert take(shop.project) == [TRACES[0]]


def test_after_unwatch_nothing_more_is_told(otlp, shop):
    changes.watch(shop.project.pk)
    changes.unwatch(shop.project.pk)
    otlp.send(otlp.span(TRACES[0], "01" * 8))

    assert take(shop.project) == []
