"""Changes that nobody told: releases, models, prompts and providers as traces first show them."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from django.db import connection, transaction
from hypothesis import given, settings
from hypothesis import strategies as st

from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces import changelog, sighting
from traces.changing import deriving
from traces.changing.deriving import Sighting, What, derive
from traces.models import Change as Row
from traces.read.changelog import ChangeFilter, each_change
from traces.write import feed, sightings

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def seen(what, value, hours, *, last=None, **line):
    texts = {"environment": "", "service": "", "feature": "", "provider": "", "name": ""} | line
    at = NOON + HOUR * hours
    return Sighting(what, *texts.values(), value, at, NOON + HOUR * (hours if last is None else last))


# --- the rule -----------------------------------------------------------------------------------------------------


def test_the_first_value_of_a_line_is_no_change_and_the_next_names_what_was_before():
    found = derive([seen(What.RELEASE, "1.0", 0, service="api"), seen(What.RELEASE, "1.1", 5, service="api"),
                    seen(What.RELEASE, "7", 5, service="web")])  # fmt: skip

    assert [(c.kind, c.version, c.previous, c.service, c.at) for c in found] == [
        ("deploy", "1.1", "1.0", "api", NOON + 5 * HOUR)
    ]


PROMPT = {"feature": "returns", "name": "returns"}


def way(*sightings):
    return [(c.version, c.previous, (c.at - NOON) / HOUR) for c in derive(sightings)]


def test_an_older_version_that_goes_on_alone_is_a_way_back():
    old, new = seen(What.PROMPT, "v17", 0, last=40, **PROMPT), seen(What.PROMPT, "v18", 20, last=30, **PROMPT)

    assert way(old, new) == [("v18", "v17", 20), ("v17", "v18", 30)]
    # Each is one change for good: what follows later takes nothing back, and names what it replaced.
    third = seen(What.PROMPT, "v19", 40, last=90, **PROMPT)
    assert way(old, new, third) == [("v18", "v17", 20), ("v17", "v18", 30), ("v19", "v17", 40)]
    origins = [change.origin for change in derive([old, new, third])]
    assert len(set(origins)) == 3
    assert {change.origin for change in derive([old, new])} == set(origins[:2])


@pytest.mark.parametrize(
    "others",
    [
        [seen(What.PROMPT, "v17", 0, last=34.9, **PROMPT)],  # not yet for half as long as v18 was there
        [seen(What.PROMPT, "v17", 0, last=29, **PROMPT)],  # both served, and ended
        [seen(What.PROMPT, "v17", 0, last=60, **PROMPT), seen(What.PROMPT, "v19", 30, last=60, **PROMPT)],  # replaced
        [seen(What.PROMPT, "v16", 0, last=60, **PROMPT), seen(What.PROMPT, "v17", 5, last=60, **PROMPT)],  # two go on
    ],
)
def test_no_way_back_while_it_is_not_sure(others):
    new = seen(What.PROMPT, "v18", 20, last=30, **PROMPT)

    assert not [told for told in way(*others, new) if told[1] == "v18" and told[0] in {"v16", "v17"}]


def test_two_that_serve_beside_each_other_for_days_never_flap():
    # One request in ten is of the newer one: an hour or two go by without it.
    rng = random.Random(5)
    old, told = (0.0, 0.0), []
    new = None
    for minute in range(0, 5 * 24 * 60, 2):
        at = minute / 60
        if at > 10 and rng.random() < 0.1:
            new = (new[0] if new else at, at)
        else:
            old = (0.0, at)
        if new is not None:
            one = seen(What.RELEASE, "1", 0, last=old[1], service="api")
            other = seen(What.RELEASE, "2", new[0], last=new[1], service="api")
            told.append([version for version, _, _ in way(one, other)])

    assert all(each == ["2"] for each in told)


def test_models_in_use_beside_each_other_go_and_come_without_a_change():
    assert way(seen(What.MODEL, "a", 0, last=400), seen(What.MODEL, "b", 200, last=300)) == [("b", "", 200)]


def test_a_mix_of_models_shows_itself_while_its_line_is_new():
    mix = [seen(What.MODEL, name, hours, last=200) for name, hours in (("a", 0), ("b", 1), ("rare", 160), ("new", 170))]

    assert [(c.version, c.previous) for c in derive(mix)] == [("new", "")]


@pytest.mark.parametrize(
    ("what", "second", "first_ends", "is_change"),
    [
        (What.MODEL, 0.5, 0.4, True),
        (What.MODEL, 0.5, 0.51, False),
        (What.MODEL, 0.001, 0, False),  # the first trace: a router, and the model behind it
        (What.RELEASE, 0.5, 0.53, True),  # processes are replaced one by one
        (What.RELEASE, 0.5, 0.6, False),
        (What.RELEASE, 1.5, 2, True),  # no longer new: a canary beside what was there
        (What.PROVIDER, 25, 30, True),
    ],
)
def test_on_a_new_line_a_change_takes_the_place_of_what_was_before(what, second, first_ends, is_change):
    found = derive([seen(what, "a", 0, last=first_ends), seen(what, "b", second, last=40)])

    assert [c.version for c in found] == (["b"] if is_change else [])


def test_a_name_that_another_model_answers_to_is_a_change_of_its_own():
    found = derive([
        seen(What.MODEL, "gpt-4o", 0, feature="chat"),
        seen(What.ANSWER, "", 0, provider="openai", name="gpt-4o"),
        seen(What.ANSWER, "gpt-4o-2024-08-06", 1, provider="openai", name="gpt-4o"),
        seen(What.ANSWER, "gpt-4o-2024-11-20", 9, provider="openai", name="gpt-4o"),
        seen(What.FINGERPRINT, "fp_1", 0, name="gpt-4o"),
        seen(What.FINGERPRINT, "fp_2", 9, name="gpt-4o"),
    ])  # fmt: skip

    assert [(c.name, c.previous, c.version) for c in found] == [("gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-2024-11-20")]


def test_a_model_nobody_asked_for_by_name_is_one_change_not_two():
    rows = [seen(what, model, hours) for hours, model in ((0, "a"), (4, "b")) for what in (What.MODEL, What.ANSWER)]

    assert [c.version for c in derive(rows)] == ["b"]


def test_a_release_per_process_marks_no_chart_a_thousand_times():
    rows = [seen(What.RELEASE, "first", -48)] + [seen(What.RELEASE, f"{n:04}", n / 1000) for n in range(1000)]

    found = derive(rows)

    assert len(found) == deriving.A_DAY
    assert [c.more for c in found[-2:]] == [0, 1000 - deriving.A_DAY]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(What), st.sampled_from("ab"), st.sampled_from("uvwxyz"), st.integers(0, 9)),
                max_size=30), st.randoms())  # fmt: skip
def test_any_order_any_repeat_and_any_cut_of_what_comes_ends_in_the_same_changes(told, dice):
    rows = [seen(what, value, hour, service=line) for what, line, value, hour in told]
    shuffled = dice.sample(rows, len(rows)) + rows[: len(rows) // 2]

    assert derive(sightings.join(rows)) == derive(sightings.join(shuffled))


def test_a_model_that_ran_on_beside_a_new_one_was_not_replaced():
    def previous(until):
        old = seen(What.MODEL, "gpt-4o-mini", 0, last=until)
        return [c.previous for c in derive([old, seen(What.MODEL, "gpt-4o", 200, last=400)])]

    assert previous(200.01) == ["gpt-4o-mini"]
    assert previous(400) == [""]


# --- from spans ---------------------------------------------------------------------------------------------------


@pytest.fixture
def now(db):
    with time_machine.travel(NOON + 200 * HOUR, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ran(shop, otlp, now):
    """`ran(hour, ...)`: a request that began `hour` hours after noon, with a generation; its trace."""
    count = iter(range(1, 10_000))

    def send(hour, *, release="1.0", asked="gpt-4o", answered="gpt-4o-08", provider="openai", prompt=None, project=None,
             feature="chat", service="api", late_root=False, more=None):  # fmt: skip
        n = next(count)
        trace, at_ms = f"{n:032x}", hour * 3_600_000
        otlp.start_ns = int(NOON.timestamp() * 10**9)
        attributes = {"gen_ai.request.model": asked, "gen_ai.response.model": answered,
                      "gen_ai.provider.name": provider} | (more or {})  # fmt: skip
        if prompt:
            attributes |= {"langfuse.observation.prompt.name": prompt[0],
                           "langfuse.observation.prompt.version": prompt[1]}  # fmt: skip
        resource = {"service.name": service, "service.version": release}
        root = otlp.span(trace, f"{n:08x}00000001", at_ms=at_ms, attributes={"telltale.feature": feature})
        call = otlp.generation(trace, f"{n:08x}00000002", f"{n:08x}00000001", at_ms=at_ms, attributes=attributes)
        for spans in ([call], [root]) if late_root else ([root, call],):
            otlp.send(*spans, resource=resource, project=project)
        return trace

    return send


def see():
    return sighting.see_changes(settle=timedelta(days=-9999))


def log_of(project):
    """What the change log says, oldest first."""
    return [change.title for change in each_change(project.pk, ChangeFilter())][::-1]


def sightings_of(project):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT what, environment, service, feature, provider, name, value, first_at, last_at"
            " FROM traces_sighting WHERE project_id = %s ORDER BY sighting_id", [project.pk],
        )  # fmt: skip
        return cursor.fetchall()


def test_a_new_project_has_no_changes_and_then_those_it_makes(shop, ran):
    ran(0)
    see()
    assert log_of(shop.project) == []

    ran(5, release="1.1")
    ran(6, answered="gpt-4o-11")
    ran(7, asked="claude", answered="claude-4", provider="anthropic")
    see()

    assert log_of(shop.project) == [
        "Deploy 1.0 → 1.1", "Model gpt-4o: gpt-4o-08 → gpt-4o-11", "Model gpt-4o → claude",
        "Provider openai → anthropic",
    ]  # fmt: skip
    changes = {change.kind: change for change in each_change(shop.project.pk, ChangeFilter())}
    assert changes["deploy"].at == NOON + 5 * HOUR
    assert (changes["deploy"].service, changes["deploy"].is_derived) == ("api", True)


def test_a_second_model_reads_as_added_once_the_first_is_seen_again(shop, ran):
    ran(0)
    ran(170, asked="gpt-4o-mini", answered="gpt-4o-mini")
    see()
    before = [title for title in log_of(shop.project) if title.startswith("Model")]
    ran(171)
    see()
    see()

    assert before == ["Model gpt-4o → gpt-4o-mini"]
    assert [title for title in log_of(shop.project) if title.startswith("Model")] == ["Model gpt-4o-mini added"]


def test_a_prompt_s_next_version_is_a_change_of_its_feature(shop, ran):
    ran(0, prompt=("answer", "13"))
    ran(4, prompt=("answer", "14"))
    see()

    (change,) = each_change(shop.project.pk, ChangeFilter(kinds=("prompt",)))
    assert (change.title, change.feature) == ("Prompt answer: 13 → 14", "chat")


def test_a_call_that_comes_before_its_root_counts_to_the_feature_the_root_names(shop, ran):
    ran(0, late_root=True)
    ran(4, asked="gpt-5", late_root=True)
    see()

    assert {(row[0], row[3], row[6]) for row in sightings_of(shop.project) if row[0] == What.MODEL} == {
        (What.MODEL, "chat", "gpt-4o"), (What.MODEL, "chat", "gpt-5"),
    }  # fmt: skip


def test_late_traces_move_a_change_and_take_back_what_they_prove_wrong(shop, ran):
    ran(0)
    ran(9, release="1.1")
    see()
    kept = Row.objects.get(kind="deploy")
    Row.objects.filter(pk=kept.pk).update(note="by Kim")

    ran(7, release="1.1")
    see()
    moved = Row.objects.get(kind="deploy")
    ran(-5, release="1.1")
    see()

    assert (moved.pk, moved.at, moved.note) == (kept.pk, NOON + 7 * HOUR, "by Kim")
    assert log_of(shop.project) == ["Deploy 1.1 → 1.0"]


def test_the_same_traces_in_any_order_and_any_number_of_runs_make_the_same_log(shop, ran):
    hours = [(0, "1"), (3, "2"), (4, "2"), (8, "3"), (2, "1"), (30, "4")]
    for hour, release in hours:
        ran(hour, release=release)
    see()
    once = log_of(shop.project), sightings_of(shop.project)

    random.Random(4).shuffle(hours)
    for hour, release in hours:
        ran(hour, release=release, project=shop.elsewhere)
        see()

    assert (log_of(shop.elsewhere), sightings_of(shop.elsewhere)) == once
    assert once[0] == ["Deploy 1 → 2", "Deploy 2 → 3", "Deploy 3 → 4"]


def test_what_was_taken_by_a_run_that_died_is_there_for_the_next(shop, ran, monkeypatch):
    ran(0)
    ran(5, release="1.1")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sighting, "derive", die)
        with pytest.raises(KeyboardInterrupt):
            see()
    assert sightings_of(shop.project) == []
    see()
    see()

    assert log_of(shop.project) == ["Deploy 1.0 → 1.1"]
    with raw_cursor() as cursor:
        assert feed.open_projects(cursor, feed.Consumer.CHANGES) == []


def test_spans_wait_until_their_trace_is_likely_whole(shop, ran):
    ran(0)

    assert sighting.see_changes(settle=timedelta(days=9999)) == 0
    assert see() == 1


def test_our_own_judges_and_times_that_were_made_up_are_not_seen(shop, ran):
    ran(0, service="telltale.judge")
    ran(0)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_span SET flags = flags | 1 WHERE service = 'api'")
    see()

    assert sightings_of(shop.project) == []


def test_a_removed_change_stays_removed_whatever_comes(shop, ran):
    ran(0)
    ran(5, release="1.1")
    see()
    changelog.remove_change(shop.project, Row.objects.get().pk, changelog.By())

    ran(3, release="1.1")
    see()

    assert log_of(shop.project) == []
    assert Row.objects.get().hidden_at is not None


def test_names_made_up_by_a_sender_cost_a_bounded_number_of_rows(shop, ran, monkeypatch):
    monkeypatch.setattr(sightings, "SIGHTINGS_MAX", 6)

    for n in range(5):
        ran(n * 3, release=f"r{n}")
        see()

    assert len(sightings_of(shop.project)) == 6
    with connection.cursor() as cursor:
        cursor.execute("SELECT left_out FROM traces_sighting_state WHERE project_id = %s", [shop.project.pk])
        assert cursor.fetchone()[0] == 2


def test_a_project_from_before_is_looked_through_once_and_a_new_one_never(shop, ran, monkeypatch):
    monkeypatch.setattr(sighting, "wake", lambda task: None)
    monkeypatch.setattr(sighting, "pause", lambda seconds: None)
    monkeypatch.setattr(sighting, "BACKFILL_TRACES", 2)
    for hour, release in ((0, "1"), (3, "2"), (9, "3"), (40, "4"), (41, "4")):
        ran(hour, release=release)
    ran(0, project=shop.elsewhere)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_feed WHERE project_id = %s", [shop.project.pk])

    assert (sighting.start_backfills(), sighting.start_backfills()) == (1, 0)
    (job,) = Job.objects.filter(kind=sighting.BACKFILL)
    job = work.run_now(job)

    assert (job.state, job.result, job.project_id) == (JobState.DONE, {"traces": 5}, shop.project.pk)
    assert log_of(shop.project) == ["Deploy 1 → 2", "Deploy 2 → 3", "Deploy 3 → 4"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traces_sighting_state WHERE backfilled_at IS NOT NULL")
        assert cursor.fetchone()[0] == Project.objects.count()


def test_of_a_trace_that_never_ends_new_spans_alone_are_looked_at(shop, otlp, now):
    trace = "ab" * 16
    otlp.start_ns = int(NOON.timestamp() * 10**9)
    otlp.send(otlp.span(trace, "01" * 8), resource={"service.version": "1"})
    otlp.send(otlp.span(trace, "02" * 8), resource={"service.version": "2"})
    with transaction.atomic(), raw_cursor() as cursor:
        entries = feed.claim(cursor, feed.Consumer.CHANGES, shop.project.pk, 10)
        found = [
            [each.value for each in sightings.look(cursor, shop.project.pk, [UUID(trace)], [entry.batch_id], huge=1)]
            for entry in entries
        ]

    assert sorted(found) == [["1"], ["2"]]


def test_a_way_back_is_listed_though_the_older_version_was_told_of_days_ago(shop, ran):
    told = {"kind": "deploy", "version": "1.0", "service": "api", "at": (NOON + HOUR).isoformat()}
    changelog.put_changes(shop.project, [told], changelog.By(name="Kim"))
    for hours, release in ((0, "1.0"), (5, "1.1"), (6, "1.1"), (7, "1.0"), (9, "1.0")):
        ran(hours, release=release)
    see()

    assert log_of(shop.project)[-2:] == ["Deploy 1.0 → 1.1", "Deploy 1.1 → 1.0"]

    changelog.put_changes(shop.project, [{**told, "at": (NOON + 6.1 * HOUR).isoformat()}], changelog.By(name="Kim"))

    listed = [(each.source, each.version) for each in each_change(shop.project.pk, ChangeFilter())]
    assert sorted(listed).count(("derived", "1.0")) == 0
    assert ("derived", "1.1") in listed
