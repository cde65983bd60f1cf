"""Definitions: read and refused, shown, tried out, changed by those who may, counted again through kills."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
import time_machine

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from tests.traces.behaviour_rows import ask, kept, recounted, rows, settle
from tests.traces.session_rows import NOON, put_trace, refresh, remove_trace
from traces import behaving, signalling
from traces.behaviour.definition import LIMITS, SHIPPED, DefinitionError, parse_definition, to_json
from traces.behaviour.types import Stratum
from traces.models import SignalDefinition
from traces.read import behaviour as read
from traces.write import behaviour as write
from traces.write import refold, retention, rollup_memory

LATER = NOON + timedelta(hours=6)
PAGE = "/p/shop/signals/definitions/"
API = "/api/v1/signals/definitions"


@pytest.fixture
def at_six(shop, monkeypatch):
    """Six hours after noon; nobody is woken and nothing waits."""
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    rollup_memory.forget()
    write.forget()
    signalling.forget()
    with time_machine.travel(LATER, tick=False) as traveller:
        yield traveller
    write.forget()
    signalling.forget()


def sessions(project_id, n, turns=1, first=1):
    """Sessions of `turns` answered turns each, a minute apart, as rows of traces and their sums."""
    number = first
    for session in range(n):
        for at in range(turns):
            put_trace(
                project_id, number, f"s{session}", at=session * 60 + at * 20, feature="chat",
                preview_in=f"Question number {number}, please?", preview_out="An answer.",
            )  # fmt: skip
            number += 1
    refresh(project_id, *(f"s{session}" for session in range(n)))


def count_again():
    """Start what is stale and run the jobs there are."""
    behaving.start_stale()
    while work.run_next():
        pass


def test_the_shipped_definition_reads_back_as_itself():
    assert parse_definition(to_json(SHIPPED)) == SHIPPED
    assert parse_definition({}) == SHIPPED
    assert parse_definition(orjson.loads(orjson.dumps(to_json(SHIPPED)))) == SHIPPED


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ([], "definition"),
        ({"idle": 3}, "idle"),
        ({"idle_minutes": 0}, "idle_minutes"),
        ({"idle_minutes": 10_081}, "idle_minutes"),
        ({"idle_minutes": 30.5}, "idle_minutes"),
        ({"idle_minutes": True}, "idle_minutes"),
        ({"idle_minutes": "30"}, "idle_minutes"),
        ({"idle_minutes": None}, "idle_minutes"),
        ({"idle_minutes": 10**400}, "idle_minutes"),
        ({"rephrase_similarity": float("nan")}, "rephrase_similarity"),
        ({"rating_up_from": 2, "rating_down_to": 2}, "rating_up_from"),
        ({"rating_low": 5, "rating_high": 1}, "rating_high"),
        ({"single_shot": 1}, "single_shot"),
        ({"completion": ["won"]}, "completion"),
        ({"completion": [{}]}, "completion"),
        ({"correction_phrases": "no"}, "correction_phrases"),
        ({"correction_phrases": ["ok", "?!"]}, "correction_phrases[1]"),
        ({"correction_phrases": ["a" * 81]}, "correction_phrases[0]"),
        ({"correction_phrases": ["bad\x00"]}, "correction_phrases[0]"),
        ({"closing_phrases": ["x"] * 201}, "closing_phrases"),
        ({"features": {"": {}}}, "features"),
        ({"features": {"chat": {"idle_minutes": 0}}}, "features.chat.idle_minutes"),
        ({"features": {"chat": {"completion": []}}}, "features.chat.completion"),
        ({"features": {"chat": {"rating_high": 0}}}, "features.chat.rating_high"),
        ({"features": {str(n): {} for n in range(101)}}, "features"),
        ({"names": {"x": "nothing"}}, "names.x"),
        ({"names": []}, "names"),
    ],
)
def test_what_cannot_be_a_definition_names_its_field(told, field):
    with pytest.raises(DefinitionError) as refused:
        parse_definition(told)

    assert refused.value.faults[0].field == field


def test_each_number_takes_its_limits_and_nothing_beyond():
    scale = {"rating_low": -1000, "rating_high": 1000, "rating_up_from": 1000, "rating_down_to": -1000}
    for limit in LIMITS:
        for value in (limit.low, limit.high):
            others = {name: each for name, each in scale.items() if name != limit.name}
            if limit.name.startswith("rating"):
                continue
            assert getattr(parse_definition({limit.name: value, **others}), limit.name) == value
        for value in (limit.low - 1, limit.high + 1):
            with pytest.raises(DefinitionError):
                parse_definition({limit.name: value})


def test_a_feature_has_its_own_numbers_and_the_rest_of_the_project():
    made = parse_definition({"idle_minutes": 20, "features": {"chat": {"single_shot": True, "retry_seconds": 5}}})

    own = made.for_feature("chat")

    assert (own.idle_minutes, own.single_shot, own.retry_seconds) == (20, True, 5)
    assert made.for_feature("other") is made
    assert own is made.for_feature("chat")


@pytest.mark.django_db
def test_sessions_stored_before_are_counted_by_themselves(shop, at_six):
    sessions(shop.project.pk, 3)
    put_trace(shop.project.pk, 90, None, feature="chat", preview_out="An answer.")
    put_trace(shop.project.pk, 91, None, service="telltale.judge")

    count_again()
    again = behaving.start_stale()

    strata = [Stratum(row[0]).name for row in rows(shop.project.pk, "stratum")]
    assert sorted(strata) == ["ABANDONED", "ABANDONED", "ABANDONED", "UNKNOWN"]
    assert kept(shop.project.pk) == recounted(shop.project.pk)
    assert again == 0
    assert ask("SELECT count(*) FROM traces_behaviour_due") == [(0,)]


@pytest.mark.django_db
def test_a_project_that_begins_needs_no_count(shop, otlp, at_six):
    otlp.start_ns = int(NOON.timestamp() * 10**9)
    otlp.send(otlp.generation("1" * 32, "a" * 16, attributes={"session.id": "s"}))

    assert behaving.start_stale() == 0


@pytest.mark.django_db
def test_a_change_counts_everything_anew_shows_how_far_and_goes_on_after_a_kill(shop, at_six, monkeypatch):
    project = shop.project.pk
    monkeypatch.setattr(refold, "REFOLD_UNITS", 4)
    sessions(project, 10, turns=2)
    count_again()
    before = {row[0] for row in rows(project, "stratum")}

    behaving.save_definition(shop.project, {"abandon_answers": 2, "follow_up_seconds": 5}, by_id=None)
    waiting = read.progress(project)
    real, slices = write.fold, []

    def killed(cursor, project_id, refs, now):
        slices.append(len(refs))
        if len(slices) == 2:
            raise KeyboardInterrupt
        return real(cursor, project_id, refs, now)

    monkeypatch.setattr(write, "fold", killed)
    with pytest.raises(KeyboardInterrupt):
        work.run_next()
    midway, mixed = read.progress(project), sorted(row[0] for row in rows(project, "definition"))
    in_between = kept(project) == recounted(project)
    monkeypatch.setattr(write, "fold", real)
    ask("UPDATE jobs_job SET lease_until = now() - interval '1 s' WHERE state = 'running' RETURNING id")
    first = len(slices)
    while work.run_next():
        pass
    done = read.progress(project)

    assert before == {Stratum.CARRIED_ON}
    assert (waiting.is_running, waiting.total) == (True, None)
    assert (midway.is_running, midway.done, midway.total) == (True, 4, 30)
    assert (midway.version, round(midway.share, 2)) == (1, 0.13)
    assert mixed == [0] * 6 + [1] * 4
    assert in_between
    assert first == 2
    assert (done.is_running, done.share, done.error) == (False, 1.0, "")
    assert {tuple(row) for row in rows(project, "definition", "stratum")} == {(1, Stratum.ABANDONED)}
    assert kept(project) == recounted(project)


@pytest.mark.django_db
def test_a_count_that_fails_is_told_and_goes_on_by_hand(shop, at_six, monkeypatch):
    sessions(shop.project.pk, 2)
    real = write.fold
    monkeypatch.setattr(write, "fold", lambda *args: (_ for _ in ()).throw(work.JobFailed("The disk is full.")))

    count_again()
    failed = read.progress(shop.project.pk)
    page = shop.alice.get(PAGE).content.decode()
    restarted = behaving.start_stale()
    monkeypatch.setattr(write, "fold", real)
    answer = shop.alice.post(f"{PAGE}retry/")
    while work.run_next():
        pass

    assert failed.error == "The disk is full."
    assert failed.share is None
    assert "The disk is full." in page
    assert restarted == 0
    assert answer.status_code == 302
    assert len(rows(shop.project.pk, "stratum")) == 2


@pytest.mark.django_db
def test_names_of_signals_are_understood_anew(shop, at_six):
    sessions(shop.project.pk, 1)
    sender = signalling.Sender()
    signalling.put_signals(shop.project.pk, [{"name": "answer_helped", "session_id": "s0", "value": True}], sender)
    count_again()
    before = rows(shop.project.pk, "vote")

    behaving.save_definition(shop.project, {"names": {"answer_helped": "thumb.up"}}, by_id=None)
    count_again()

    assert before == [(0,)]
    assert rows(shop.project.pk, "vote", "definition") == [(1, 1)]
    assert kept(shop.project.pk) == recounted(shop.project.pk)


@pytest.mark.django_db
def test_what_retention_takes_stays_counted_without_the_person(shop, at_six):
    project = shop.project.pk
    sessions(project, 2)
    put_trace(project, 50, "s0", at=10, user_id="u-1", feature="chat", preview_out="x", preview_in="And another one?")
    put_trace(project, 51, None, at=10, user_id="u-1", feature="chat", preview_out="x")
    refresh(project, "s0")
    count_again()
    before = kept(project)
    at_six.shift(timedelta(days=shop.project.retention_days + 1))
    swept = retention.sweep()
    behaving.save_definition(shop.project, {"abandon_answers": 3}, by_id=None)
    count_again()
    settle()

    assert swept.traces == 4
    assert kept(project) == before == recounted(project)
    assert {row[0] for row in rows(project, "user_id")} == {None}


@pytest.mark.django_db
def test_a_session_whose_first_turns_are_gone_is_counted_with_them(shop, at_six):
    project = shop.project.pk
    days = shop.project.retention_days
    put_trace(project, 1, "s", at=-86_400 * days, feature="chat", preview_in="Where is my order?", preview_out="There.")
    put_trace(
        project, 2, "s", at=-86_400 * days + 60, feature="chat", preview_in="where is my order?", preview_out="There."
    )
    refresh(project, "s")
    count_again()
    at_six.shift(timedelta(days=1))
    retention.sweep()
    put_trace(project, 3, "s", at=86_400, feature="chat", preview_in="Where is it now?", preview_out="Here.")
    refresh(project, "s")
    from telltale.lib.db import raw_cursor

    with raw_cursor() as cursor:
        write.mark_sessions(cursor, project, ["s"], datetime(2026, 1, 1, tzinfo=UTC))
    settle()

    assert rows(project, "turns", "answers", "first_at", "stratum") == [
        (3, 3, NOON - timedelta(days=days), Stratum.RETRIED)
    ]
    assert kept(project) == recounted(project)


@pytest.mark.django_db
def test_traces_that_are_gone_for_another_reason_are_counted_no_more(shop, at_six):
    sessions(shop.project.pk, 2)
    count_again()
    remove_trace(shop.project.pk, 1)
    from telltale.lib.db import raw_cursor

    with raw_cursor() as cursor:
        write.mark_sessions(cursor, shop.project.pk, ["s0"], NOON)
    settle()

    assert rows(shop.project.pk, "session_id") == [("s1",)]
    assert kept(shop.project.pk) == recounted(shop.project.pk)


def form_of(**typed):
    told = to_json(SHIPPED)
    data = {name: told[name] for name in (each.name for each in LIMITS)}
    data |= {"single_shot": "no", "completion": told["completion"], "version": "0", "feature": "", "names": ""}
    data |= {name: "\r\n".join(told[name]) for name in told if name.endswith("_phrases")}
    return data | typed


@pytest.mark.django_db
def test_the_page_shows_every_rule_and_changes_it_for_those_who_may(shop, at_six):
    sessions(shop.project.pk, 3, turns=2)
    count_again()

    first = shop.bob.get(PAGE).content.decode()
    preview = shop.alice.post(PAGE, form_of(abandon_answers="2", act="preview")).content.decode()
    refused = shop.alice.post(PAGE, form_of(idle_minutes="0", correction_phrases="?!", act="save"))
    unchanged = shop.alice.post(PAGE, form_of(act="save"), follow=True).content.decode()
    saved = shop.alice.post(PAGE, form_of(abandon_answers="2", act="save"), follow=True).content.decode()
    outdated = shop.alice.post(PAGE, form_of(abandon_answers="3", act="save"))
    shop.alice.post(PAGE, {"feature": "chat", "version": "1", "idle_minutes": "5", "single_shot": "yes", "act": "save"})
    of_feature = shop.alice.get(PAGE, {"feature": "chat"}).content.decode()

    assert "A session is over when nothing came for 30 minutes" in first
    assert "The shipped version, 0." in first
    assert 'name="idle_minutes"' not in first
    assert "Engineers, admins and owners change them" in first
    assert "Of the newest 3 closed sessions" in preview
    assert '<td class="num" data-l="With these numbers"><b>3</b></td>' in preview
    assert refused.status_code == 400
    assert "must be a whole number between 1 and 10,080" in refused.content.decode()
    assert "must have a letter or a digit" in refused.content.decode()
    assert "Nothing was changed" in unchanged
    assert "Version 1 is in force" in saved
    assert "are being counted by version 1" in saved
    assert "alice@example.com" in saved
    assert "abandon_answers: 1 → 2" in saved
    assert outdated.status_code == 409
    assert "Somebody else saved version 1 meanwhile" in outdated.content.decode()
    assert "One answer is the whole job here" in of_feature
    assert SignalDefinition.objects.get(version=2).spec["features"] == {
        "chat": {"idle_minutes": 5, "single_shot": True}
    }
    assert [entry.target for entry in AuditEntry.objects.filter(action="signals.definition").order_by("pk")] == [
        "version 1", "version 2",
    ]  # fmt: skip
    assert shop.bob.post(PAGE, form_of(act="save")).status_code == 403
    assert shop.charlie.get(PAGE).status_code == 404
    assert shop.nobody.get(PAGE).status_code == 302


@pytest.mark.django_db
def test_progress_is_swapped_in_while_it_runs(shop, at_six):
    behaving.save_definition(shop.project, {"idle_minutes": 5}, by_id=None)

    running = shop.bob.get(PAGE, headers={"HX-Request": "true"}).content.decode()
    while work.run_next():
        pass
    done = shop.bob.get(PAGE, headers={"HX-Request": "true"}).content.decode()

    assert 'hx-trigger="every 3s"' in running
    assert "The count begins within seconds." in running
    assert "All stored sessions are counted by version 1" in done
    assert "hx-trigger" not in done


@pytest.mark.django_db
def test_the_page_asks_as_often_whatever_there_is(shop, at_six, django_assert_max_num_queries):
    sessions(shop.project.pk, 2)
    count_again()
    for minutes in range(1, 6):
        behaving.save_definition(shop.project, {"idle_minutes": minutes}, by_id=None)
    shop.alice.get(PAGE)

    with django_assert_max_num_queries(15):
        shop.alice.get(PAGE)


@pytest.mark.django_db
def test_rest_reads_changes_and_tries_definitions(shop, at_six):
    sessions(shop.project.pk, 3, turns=2)
    count_again()
    reader, writer = shop.key("read"), shop.key("write")

    def put(body, key=writer):
        return shop.nobody.put(API, orjson.dumps(body), "application/json", headers=key)

    first = shop.nobody.get(API, headers=reader).json()
    tried = shop.nobody.post(
        f"{API}/preview", orjson.dumps({"definition": {"abandon_answers": 2}, "feature": "chat"}), "application/json",
        headers=reader,
    ).json()  # fmt: skip
    made = put({"definition": first["definition"] | {"abandon_answers": 2}, "version": 0})
    same = put({"definition": {"abandon_answers": 2}})
    late = put({"definition": {}, "version": 0})
    wrong = put({"definition": {"idle_minutes": 0, "colour": "red"}})
    versions = shop.nobody.get(f"{API}/versions", headers=reader).json()["items"]
    progress = shop.nobody.get(f"{API}/progress", headers=reader).json()
    while work.run_next():
        pass
    told = {"from": "2026-11-19T00:00:00Z", "to": "2026-11-20T00:00:00Z", "feature": "chat"}
    rates = shop.nobody.get("/api/v1/signals/behaviour", told, headers=reader).json()

    assert (first["version"], first["created_at"], first["definition"]) == (0, None, to_json(SHIPPED))
    assert {rule["key"] for rule in first["rules"]} >= {"abandonment", "retry", "votes"}
    assert tried["sessions"] == 3
    assert {"key": "abandonment", "now": 0, "then": 3} in tried["counts"]
    assert (made.status_code, made.json()["version"], same.json()["version"]) == (200, 1, 1)
    assert late.status_code == 409
    assert [error["field"] for error in wrong.json()["errors"]] == ["definition.colour", "definition.idle_minutes"]
    assert [version["version"] for version in versions] == [1, 0]
    assert (progress["is_running"], progress["version"]) == (True, 1)
    assert put({"definition": {}}, reader).status_code == 403
    assert (rates["sessions"], rates["version"]) == (3, 1)
    assert next(rate for rate in rates["rates"] if rate["key"] == "abandonment")["found"] == 3
    assert rates["answers"] == {"value": 2.0, "low": 2.0, "high": 2.0, "n": 3}
    assert Job.objects.filter(kind=read.REFOLD).count() == 2
    assert AuditEntry.objects.get(action="signals.definition").actor.startswith("key ")
