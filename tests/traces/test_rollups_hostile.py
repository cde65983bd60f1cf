"""Hostile traffic: the fold stays exact, stays bounded, and never stands still for one trace."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from django.db import connection, transaction

from telltale.lib.db import raw_cursor
from tests.traces import rollup_audit
from traces import folding
from traces.read.rollups import calls, reading, requests
from traces.rollup import ledger
from traces.write import feed, rollup_memory, rollups


@pytest.fixture(autouse=True)
def fresh_memory():
    rollup_memory.forget()
    yield
    rollup_memory.forget()


def execute(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall() if cursor.description else []


def tell(project, *traces):
    with transaction.atomic(), raw_cursor() as cursor:
        feed.tell(cursor, project.pk, [UUID(trace) for trace in traces])


def aside(project):
    return execute("SELECT trace_id, tries, reason FROM traces_rollup_aside WHERE project_id = %s", project.pk)


def test_sums_beyond_64_bits_stay_exact(otlp, shop):
    most = 10**12
    greedy = {"gen_ai.usage.input_tokens": most, "gen_ai.usage.output_tokens": most}
    trace = "e1" * 16
    day_ms = 86_400_000
    otlp.send(*(otlp.generation(trace, f"{n:016x}", at_ms=n, ms=300 * day_ms, attributes=greedy) for n in range(1, 40)))
    # As if there were a hundred million of them.
    execute("UPDATE traces_span SET input_fresh = 9000000000000000000, duration_ns = 9000000000000000000")
    tell(shop.project, trace)
    folding.fold_roll_ups()
    rollup_audit.check(shop.project)
    held = next(iter(rollup_audit.stored(shop.project, 1440, 2).values()))[0]
    assert held["input_fresh"] == 39 * 9 * 10**18
    assert held["token_duration"] == 39 * 9 * 10**18 * most
    otlp.send(otlp.span(trace, "ff" * 8))
    folding.fold_roll_ups()
    rollup_audit.check(shop.project)  # taken away and added again, through the ledger
    assert aside(shop.project) == []
    with reading(shop.project.pk, "UTC") as reader:
        answer = reader.ask(calls(), *whole(reader), sketches=("duration",))
    assert answer.total.input_fresh == 39 * 9 * 10**18


def whole(reader):
    return reader.now.replace(year=2000), reader.now.replace(year=reader.now.year + 1)


@pytest.mark.parametrize(
    "started_at",
    ["0001-01-01 00:00:00+00", "1970-01-01 00:00:00+00", "2262-04-11 23:47:16+00", "9999-12-31 23:59:59+00"],
)
def test_times_at_the_ends_of_the_calendar_are_booked(otlp, shop, started_at):
    shop.project.time_zone = "Pacific/Auckland"
    shop.project.save()
    trace = "e3" * 16
    otlp.send(otlp.span(trace, "01" * 8))
    execute("UPDATE traces_span SET started_at = %s", started_at)
    execute("UPDATE traces_trace SET started_at = %s, last_started_at = %s, ended_at = NULL", started_at, started_at)
    folding.fold_roll_ups()
    assert aside(shop.project) == []
    assert execute("SELECT sum(n)::int FROM traces_rollup WHERE grain = 1440") == [(2,)]


def test_made_up_names_end_in_other_and_add_up(otlp, shop, settings):
    settings.ROLLUP_SCOPES_MAX = 12
    for number in range(60):
        made = {
            "telltale.feature": f"feature {number}",
            "telltale.release": f"r{number}",
            "gen_ai.request.model": f"model {number}",
            "gen_ai.response.model": f"model {number}",
            "user.id": f"user {number % 3}",
        }
        trace = f"{number + 1:032x}"
        otlp.send(
            otlp.span(trace, "01" * 8, name=f"step {number}"),
            otlp.generation(trace, "02" * 8, "01" * 8, attributes=made),
        )
        if number % 7 == 0:
            folding.fold_roll_ups()
    folding.fold_roll_ups()
    (scopes,) = execute("SELECT count(*) FROM traces_scope")[0]
    assert 12 < scopes <= 12 * 3 // 2 + 14
    for family, n in ((1, 60), (2, 120)):
        found = rollup_audit.stored(shop.project, 1440, family)
        assert sum(sums["n"] for sums, _ in found.values()) == n
        assert sum(sums["input_fresh"] for sums, _ in found.values()) == 60 * 1000
    with reading(shop.project.pk, "UTC") as reader:
        start, end = whole(reader)
        by_model = reader.ask(calls(kind=1), start, end, by=("model",)).groups()
        assert sum(sums.n for sums in by_model.values()) == 60
        assert by_model[("(other)",)].n > 0
        assert 0.5 < reader.other_share(requests(), start, end) < 1
        assert 0.5 < reader.other_share(calls(), start, end) < 1
    # What was booked under "(other)" is taken from there when its trace goes.
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace")
        feed.tell(cursor, shop.project.pk, [UUID(int=number + 1) for number in range(60)])
    folding.fold_roll_ups()
    assert execute("SELECT count(*) FROM traces_rollup") == [(0,)]
    assert execute("SELECT count(*) FROM traces_user_period") == [(0,)]
    assert execute("SELECT count(*) FROM traces_rollup_reason") == [(0,)]


def test_another_process_goes_on_with_the_same_cap(otlp, shop, settings):
    settings.ROLLUP_SCOPES_MAX = 5
    for number in range(30):
        otlp.send(otlp.span(f"{number + 1:032x}", "01" * 8, name=f"step {number}"))
        folding.fold_roll_ups()
        rollup_memory.forget()
    (scopes,) = execute("SELECT count(*) FROM traces_scope")[0]
    assert scopes <= 5 * 3 // 2 + 14


def test_names_that_look_like_sql_or_arrays_are_only_names(otlp, shop):
    odd = ('a"b', "a\\b", "{x,y}", "NULL", "'; DROP TABLE traces_rollup; --", "\\\\", "line\nbreak", "ünï 漢字", ",")
    for number, name in enumerate(odd):
        made = {"user.id": name, "error.type": name, "telltale.feature": name, "session.id": name}
        otlp.send(otlp.span(f"{number + 1:032x}", "01" * 8, name=name, attributes=made))
    folding.fold_roll_ups()
    assert aside(shop.project) == []
    rollup_audit.check(shop.project)
    with reading(shop.project.pk, "UTC") as reader:
        window = whole(reader)
        assert {row.user_id for row in reader.users(reader.now, reader.now).rows} == set(odd)
        for name in odd:
            assert reader.ask(calls(feature=name, stage=name), *window).total.n == 1


def test_many_error_types_end_in_other(otlp, shop, monkeypatch):
    monkeypatch.setattr("traces.rollup.scopes.REASONS_MAX", 3)
    failed = {"status": {"code": 2, "message": "no"}}
    for number in range(8):
        otlp.send(otlp.span(f"{number + 1:032x}", "01" * 8, attributes={"error.type": f"E{number}"}, **failed))
    folding.fold_roll_ups()
    found = rollup_audit.stored_reasons(shop.project, 1440)
    assert sum(found.values()) == 8
    assert len(found) <= 4


@pytest.mark.parametrize(
    "error", [psycopg.errors.NumericValueOutOfRange("x"), OverflowError("x"), psycopg.errors.QueryCanceled("x")]
)
def test_a_trace_that_cannot_be_booked_is_set_aside_alone(otlp, shop, monkeypatch, error):
    traces = [f"{number:032x}" for number in range(1, 10)]
    for trace in traces:
        otlp.send(otlp.span(trace, "01" * 8, name="poison" if trace == traces[4] else "fine"))
    real = ledger.write

    def write(found):
        if any(scope == poisoned for _, scope in found.cells):
            raise error
        return real(found)

    poisoned = scope_named("poison", shop)
    monkeypatch.setattr(rollups.ledger, "write", write)
    folding.fold_roll_ups()
    assert [(row[0], row[1]) for row in aside(shop.project)] == [(UUID(traces[4]), 1)]
    assert type(error).__name__ in aside(shop.project)[0][2]
    assert execute("SELECT sum(n)::int FROM traces_rollup WHERE grain = 1440") == [(16,)]
    with reading(shop.project.pk, "UTC") as reader:
        assert reader.state().set_aside == 1
    # It is not tried again by itself, and counts once more when it changes.
    assert folding.list_open() == []
    tell(shop.project, traces[4])
    folding.fold_roll_ups()
    assert aside(shop.project)[0][1] == 2
    monkeypatch.setattr(rollups.ledger, "write", real)
    tell(shop.project, traces[4])
    folding.fold_roll_ups()
    assert aside(shop.project) == []
    rollup_audit.check(shop.project)


def scope_named(stage, shop):
    from traces.rollup.scopes import scope_id_of

    return scope_id_of((2, 0, stage, None, None, None, None, None, None, None, None), 0)


def test_the_dimensions_of_a_trace_that_was_set_aside_are_there_when_it_is_booked(otlp, shop, monkeypatch):
    folding.fold_roll_ups()
    otlp.send(otlp.span("e9" * 16, "01" * 8, name="new"))
    real = ledger.write

    def write(found):
        raise OverflowError

    monkeypatch.setattr(rollups.ledger, "write", write)
    folding.fold_roll_ups()
    assert len(aside(shop.project)) == 1
    monkeypatch.setattr(rollups.ledger, "write", real)
    otlp.send(otlp.span("ea" * 16, "01" * 8, name="new"))
    folding.fold_roll_ups()
    held = rollup_audit.stored(shop.project, 1440, 2)
    assert [key[2] for key in held] == ["new"]


def test_a_project_whose_fold_fails_does_not_keep_the_others(otlp, shop, monkeypatch):
    folding.fold_roll_ups()
    otlp.send(otlp.span("e7" * 16, "01" * 8))
    otlp.send(otlp.span("e8" * 16, "01" * 8), project=shop.elsewhere)
    real = rollups.fold_slice

    def fold_slice(project_id, rate_of):
        if project_id == shop.project.pk:
            raise psycopg.errors.UndefinedColumn("a mistake of ours")
        return real(project_id, rate_of)

    monkeypatch.setattr(rollups, "fold_slice", fold_slice)
    with pytest.raises(psycopg.errors.UndefinedColumn):
        folding.fold_roll_ups()
    rollup_audit.check(shop.elsewhere)


def test_a_damaged_ledger_row_is_set_aside(otlp, shop):
    otlp.send(otlp.span("e4" * 16, "01" * 8), otlp.span("e5" * 16, "01" * 8))
    folding.fold_roll_ups()
    execute("UPDATE traces_ledger SET data = '\\x00' WHERE trace_id = %s", UUID("e4" * 16))
    otlp.send(otlp.span("e4" * 16, "02" * 8), otlp.span("e5" * 16, "02" * 8))
    folding.fold_roll_ups()
    assert [row[0] for row in aside(shop.project)] == [UUID("e4" * 16)]
    assert execute("SELECT sum(n)::int FROM traces_rollup WHERE grain = 1440 AND scope_id >= 0") == [(3,)]


def test_a_huge_trace_that_grows_a_little_waits_its_turn(otlp, shop, monkeypatch):
    monkeypatch.setattr(rollups, "HUGE_SPANS", 10)
    monkeypatch.setattr(rollups, "READ_SPANS", 4)  # so that it is streamed
    trace = "e6" * 16
    otlp.send(*(otlp.span(trace, f"{n:016x}", at_ms=n) for n in range(1, 21)))
    folding.fold_roll_ups()
    rollup_audit.check(shop.project)
    otlp.send(otlp.span(trace, "aa" * 8))
    folding.fold_roll_ups()
    n = "SELECT sum(n)::int FROM traces_rollup WHERE grain = 1440 AND scope_id >= 0"
    assert execute(n) == [(20,)]
    with reading(shop.project.pk, "UTC") as reader:
        assert reader.state().huge_waiting == 1
    execute("UPDATE traces_ledger SET due_at = now() - interval '1 second'")
    folding.fold_roll_ups()
    rollup_audit.check(shop.project)
    # Grown by a fifth, it does not wait.
    otlp.send(*(otlp.span(trace, f"{n:016x}", at_ms=n) for n in range(100, 106)))
    folding.fold_roll_ups()
    rollup_audit.check(shop.project)
    assert folding.list_open() == []


def test_a_project_that_somebody_holds_does_not_keep_the_others(otlp, shop, monkeypatch):
    otlp.send(otlp.span("e7" * 16, "01" * 8))
    otlp.send(otlp.span("e8" * 16, "01" * 8), project=shop.elsewhere)
    real = rollups.fold_slice

    def fold_slice(project_id, rate_of):
        if project_id == shop.project.pk:
            raise rollups.Busy("held")
        return real(project_id, rate_of)

    monkeypatch.setattr(rollups, "fold_slice", fold_slice)
    folding.fold_roll_ups()
    assert folding.list_open() == [(shop.project.pk, False, True)]
    rollup_audit.check(shop.elsewhere)
