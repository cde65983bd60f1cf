"""Sampling and embedding: each trace decided and embedded once, whatever dies in between; and read by windows."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from django.db import transaction

from alerts import drifting
from alerts.drift.packing import unpack
from alerts.drifting import embedding, sampling
from alerts.drifting.filling import start_fill, start_missing
from alerts.models import DriftReference, DriftSettings
from alerts.monitors.types import Scope, Window
from alerts.read.drift import read_facts, settings_of
from alerts.read.vectors import NoSuchField, categories_in, encoders_of, vectors_in
from alerts.write import drift as write
from evals.calling.kinds import Embedded
from evals.embedding import NotNow, NotSo
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from tests.alerts.drift_kit import ENCODER, day_start, fetch, store_day
from tests.evals.judging_kit import store_traces
from tests.traces.conftest import otlp, shop  # noqa: F401
from traces.ingest.rules import forget as forget_rules
from traces.own_calls import OwnCall, store_calls

pytestmark = pytest.mark.django_db
ALL = Scope()


@pytest.fixture(autouse=True)
def fresh():
    forget_rules()
    yield
    forget_rules()


def quiet(project):
    """Let all that waits be due now."""
    with raw_cursor() as cursor:
        cursor.execute(
            "UPDATE alerts_drift_due SET due_at = now() - interval '1 s' WHERE project_id = %s", (project.pk,)
        )


def run(project):
    """Take and embed everything; how many traces ended."""
    drifting.take_changes()
    quiet(project)
    return drifting.embed_due()


def samples(project):
    return fetch("SELECT trace_id FROM alerts_sample WHERE project_id = %s ORDER BY trace_id", project.pk)


def vectors(project):
    query = "SELECT trace_id, side, encoder FROM alerts_vector WHERE project_id = %s ORDER BY trace_id, side"
    return fetch(query, project.pk)


def left_out(project):
    rows = fetch("SELECT left_out::text FROM alerts_drift_hour WHERE project_id = %s", project.pk)
    return [row[0] for row in rows if row[0] != "{}"]


def use_endpoint(project, monkeypatch, embed):
    from evals.models import Connection

    made = Connection.objects.create(
        project=project, name="vectors", kind="openai", base_url="https://api.example.com/v1"
    )  # fmt: skip
    DriftSettings.objects.create(project=project, encoder="endpoint", connection=made, model="small")
    monkeypatch.setattr(embedding, "embed_texts", embed)


# --- the flow -------------------------------------------------------------------------------------------------------


def test_a_trace_is_sampled_and_embedded_once_however_often_it_is_told(project):
    ids = store_traces(project, 3, question="Where is my refund?", answer="It is on its way to your bank.")

    assert run(project) == 3
    with raw_cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_feed (consumer, project_id, feed_id, trace_ids) VALUES (7, %s, 1, %s)",
            (project.pk, ids),
        )
    assert run(project) == 0

    assert [row[0] for row in samples(project)] == sorted(ids)
    assert [(row[1], row[2]) for row in vectors(project)] == [
        (1, "lexical:n-grams:1/256"), (2, "lexical:n-grams:1/256"),
    ] * 3  # fmt: skip
    [row] = fetch("SELECT * FROM alerts_sample WHERE trace_id = %s", ids[0])
    told = fetch(
        "SELECT pi, feature, service, model, input_chars, output_chars, input_language, output_language, input_tokens,"
        " tools FROM alerts_sample WHERE trace_id = %s",
        ids[0],
    )
    assert told == [(1.0, "help", "shop", "gpt-4o-mini", 19, 30, "en", "en", 30, [])]
    assert not any(isinstance(value, str) and "refund" in value for value in row), "no text is kept"


def test_passages_are_counted_where_retrieval_told_of_them(project):
    documents = [{"content": "a"}, {"content": "b"}]
    kinds = {"with": {"documents": documents}, "empty": {"output": "nothing found"}, "hidden": {}}
    ids = {}
    for name, told in kinds.items():
        step = {"id": "r", "name": "search", "kind": "retriever", "start": clock.now().isoformat(), "duration_ms": 5}
        [ids[name]] = store_traces(project, 1, children=[step | told])
    [ids["none"]] = store_traces(project, 1)
    run(project)

    found = dict(fetch("SELECT trace_id, passages FROM alerts_sample WHERE project_id = %s", project.pk))

    assert {name: found[trace_id] for name, trace_id in ids.items()} == {
        "with": 2, "empty": 0, "hidden": None, "none": None,
    }  # fmt: skip


def test_what_is_written_and_what_was_told_stand_or_fall_together(project):
    store_traces(project, 2)

    def take_and_die():
        with transaction.atomic():
            sampling.take_told(project.pk)
            raise RuntimeError("killed before the commit")

    with pytest.raises(RuntimeError):
        take_and_die()

    assert fetch("SELECT count(*) FROM alerts_drift_due") == [(0,)]
    assert run(project) == 2


def test_a_killed_workers_traces_are_embedded_by_the_next_and_written_once(project, monkeypatch):
    store_traces(project, 2)
    sampling.take_told(project.pk)
    quiet(project)
    with monkeypatch.context() as patch:
        patch.setattr(embedding, "_settle", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            embedding.embed_some(project.pk, "dead")

    assert drifting.embed_due() == 0, "the dead one's lease holds"
    with raw_cursor() as cursor:
        cursor.execute("UPDATE alerts_drift_due SET lease_until = now() - interval '1 s'")
    assert drifting.embed_due() == 2
    assert len(vectors(project)) == 4
    assert fetch("SELECT count(*) FROM alerts_drift_due") == [(0,)]


def test_whoever_lost_its_lease_writes_nothing(project):
    store_traces(project, 1)
    sampling.take_told(project.pk)
    quiet(project)
    with raw_cursor() as cursor:
        claimed = write.claim(cursor, project.pk, clock.now(), 10, "slow", 60)
        cursor.execute("UPDATE alerts_drift_due SET lease_by = 'other'")

    assert embedding._settle(project.pk, "slow", [due.trace_id for due in claimed], [], embedding.Outcome()) == 0
    assert fetch("SELECT lease_by FROM alerts_drift_due") == [("other",)]


def test_a_project_that_fails_keeps_no_other_waiting(project, charlie, monkeypatch, caplog):
    far = Project.objects.get(slug="far")
    for each in (project, far):
        store_traces(each, 1)
    real = embedding.embed_some

    def fails(project_id, holder):
        if project_id == min(project.pk, far.pk):
            raise ValueError("odd rows")
        return real(project_id, holder)

    monkeypatch.setattr(embedding, "embed_some", fails)
    drifting.take_changes()
    for each in (project, far):
        quiet(each)

    assert drifting.embed_due() == 1
    assert "cannot be embedded now" in caplog.text


def test_own_calls_are_no_traffic_and_drift_that_is_off_takes_nothing(project):
    store_calls(project.pk, [OwnCall(uuid4(), 1, "judge", "m", "openai", clock.now(), 5.0, prompt="a", answer="b")])
    assert run(project) == 0

    DriftSettings.objects.create(project=project, is_on=False)
    store_traces(project, 2)
    assert run(project) == 0
    assert samples(project) == []


def test_a_trace_without_texts_is_sampled_and_counted_as_without_a_vector(project):
    store_traces(project, 1, question="", answer="")

    run(project)

    assert len(samples(project)) == 1
    assert vectors(project) == []
    assert left_out(project) == ['{"no text": 1}']


def test_a_trace_that_is_gone_waits_no_longer(project):
    [gone] = store_traces(project, 1)
    sampling.take_told(project.pk)
    quiet(project)
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace WHERE trace_id = %s", (gone,))

    assert drifting.embed_due() == 1
    assert samples(project) == []


# --- the sample -----------------------------------------------------------------------------------------------------


def test_the_share_of_an_hour_is_fixed_by_the_day_before_and_never_changes(project):
    DriftSettings.objects.create(project=project, cap_a_day=100)
    hour = write.hour_of(clock.now())
    store_traces(project, 400, start=(hour - timedelta(hours=3)).isoformat())

    assert drifting.share_of_hour(project.pk, 100, hour) == 0.25
    assert drifting.share_of_hour(project.pk, 100, hour - timedelta(hours=3)) == 1.0, "nothing before"
    with raw_cursor() as cursor:
        assert write.fix_share(cursor, project.pk, hour, 0.25) == 0.25
        assert write.fix_share(cursor, project.pk, hour, 0.9) == 0.25


def test_who_is_drawn_follows_from_the_salt_and_not_from_the_order(project):
    draws = [sampling.draw_of(project.pk, UUID(int=at)) for at in range(4000)]

    assert draws == [sampling.draw_of(project.pk, UUID(int=at)) for at in range(4000)]
    assert draws[:50] != [sampling.draw_of(project.pk + 1, UUID(int=at)) for at in range(50)]
    # Uniform: the share below .25 of 4,000 lies within 4 standard errors.
    assert abs(np.mean(np.array(draws) < 0.25) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)


def test_a_burst_is_cut_at_twice_the_cap_and_said_so(project):
    DriftSettings.objects.create(project=project, cap_a_day=100)
    store_traces(project, 230)

    drifting.take_changes()

    assert fetch("SELECT count(*) FROM alerts_drift_due") == [(200,)]
    assert left_out(project) == ['{"cap": 30}']


def test_stored_traces_are_looked_back_on_by_a_job_that_goes_on_where_it_stopped(project, monkeypatch):
    store_traces(project, 5)
    drifting.take_changes()
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM alerts_drift_due")
    monkeypatch.setattr("alerts.drifting.filling.STEP", 2)

    job = work.run_now(start_fill(project.pk))

    assert (job.state, job.progress, job.result) == ("done", 5, {"traces": 5, "sampled": 5})
    assert drifting.embed_due() == 5


def test_an_upgraded_installation_looks_back_once_and_embeds_nothing_twice(project):
    store_traces(project, 2)
    assert run(project) == 2
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM traces_feed")
    store_traces(project, 3)
    with raw_cursor() as cursor:
        cursor.execute("DELETE FROM traces_feed WHERE consumer = 7")  # as before the upgrade

    assert (start_missing(), start_missing()) == (1, 0)
    job = work.run_next()

    assert job.result == {"traces": 5, "sampled": 3}
    assert drifting.embed_due() == 3
    assert len(samples(project)) == 5


# --- an endpoint ----------------------------------------------------------------------------------------------------


def test_an_endpoints_vectors_have_its_models_name_in_their_key(project, monkeypatch):
    asked = []

    def embed(project_id, connection_id, model, texts, *, limits):
        asked.append(list(texts))
        return Embedded(tuple((float(at + 1), 2.0, 0.0) for at in range(len(texts))), 5, "small-2", 1.0)

    use_endpoint(project, monkeypatch, embed)
    store_traces(project, 2, question="Q", answer="A")

    assert run(project) == 2
    assert asked == [["Q", "A", "Q", "A"]]
    assert {row[2] for row in vectors(project)} == {"endpoint:small-2/3"}
    [seen] = encoders_of(project.pk)
    assert seen.key == "endpoint:small-2/3"


def test_without_budget_traces_are_sampled_and_wait_for_their_vectors(project, monkeypatch):
    until = clock.now() + timedelta(hours=5)

    def embed(*_, **__):
        raise NotNow("The budget of the day is used up.", until)

    use_endpoint(project, monkeypatch, embed)
    store_traces(project, 2)

    assert run(project) == 0
    assert len(samples(project)) == 2
    assert (
        fetch("SELECT due_at, reason, attempts, lease_by FROM alerts_drift_due")
        == [(until, "The budget of the day is used up.", 0, "")] * 2
    )
    assert settings_of(project.pk).trouble == "The budget of the day is used up."


def test_one_text_that_is_refused_does_not_keep_the_others(project, monkeypatch):
    def embed(project_id, connection_id, model, texts, *, limits):
        if "bad" in texts:
            raise NotSo("The prompt is too long for the model (HTTP 400).")
        return Embedded(tuple((1.0, 2.0) for _ in texts), 5, "small", 1.0)

    use_endpoint(project, monkeypatch, embed)
    store_traces(project, 3)
    store_traces(project, 1, question="bad", answer="bad")

    assert run(project) == 4
    assert len(vectors(project)) == 6
    assert left_out(project) == ['{"refused": 1}']


def test_what_waited_for_days_is_left_out(project, monkeypatch):
    use_endpoint(project, monkeypatch, lambda *_, **__: pytest.fail("called"))
    store_traces(project, 1)
    drifting.take_changes()
    with raw_cursor() as cursor:
        cursor.execute("UPDATE alerts_drift_due SET since = now() - interval '4 days', due_at = now()")

    assert drifting.embed_due() == 1
    assert left_out(project) == ['{"waited too long": 1}']


# --- series ---------------------------------------------------------------------------------------------------------


def test_windows_hold_their_own_vectors_in_order_and_busy_ones_a_fair_sample(project, django_assert_num_queries):
    store_day(project, 3, 40, (1, 1, 0, 0), seed=1)
    store_day(project, 1, 60, (1, 1, 0, 0), seed=2, feature="orders")
    windows = [Window(day_start(ago), day_start(ago - 1)) for ago in (3, 2, 1)]

    with django_assert_num_queries(0):  # Django's; the one query is psycopg's own
        found = vectors_in(project.pk, ALL, "input", ENCODER, windows)

    assert [len(each.rows) for each in found] == [40, 0, 60]
    assert len(found[0].traces) == 40
    stored = fetch("SELECT data FROM alerts_vector WHERE side = 1 AND feature = 'returns' ORDER BY started_at LIMIT 1")
    assert found[0].rows[0] == pytest.approx(unpack([stored[0][0]], 32)[0].tolist())
    some = vectors_in(project.pk, ALL, "input", ENCODER, windows, most=10, dims=8)
    assert [len(each.rows) for each in some] == [10, 0, 10]
    assert len(some[0].rows[0]) == 8
    smallest = fetch("SELECT trace_id FROM alerts_vector WHERE side = 1 AND feature = 'orders' ORDER BY draw LIMIT 10")
    assert {UUID(hex=each) for each in some[2].traces} == {row[0] for row in smallest}
    orders = vectors_in(project.pk, Scope((("feature", ("orders",)),)), "input", ENCODER, windows)
    assert [len(each.rows) for each in orders] == [0, 0, 60]


def test_categories_count_every_sample_once(project):
    store_day(project, 2, 30, (1, 1, 0, 0), seed=1, tools=("refund", "search"), language=None, fields={"tier": "gold"})
    store_day(project, 1, 20, (1, 1, 0, 0), seed=2, chars=20)
    windows = [Window(day_start(2), day_start(1)), Window(day_start(1), day_start(0))]

    def counts(field, scope=ALL):
        return [dict(each.counts) for each in categories_in(project.pk, scope, field, windows)]

    assert counts("tools") == [{"refund + search": 30}, {"none": 20}]
    assert counts("input_language") == [{None: 30}, {"en": 20}]
    assert counts("field:tier") == [{"gold": 30}, {None: 20}]
    assert counts("model", Scope((("model", ("gpt-4o", None)),))) == [{"gpt-4o": 30}, {"gpt-4o": 20}]
    assert set(counts("output_length")[1]) == {"under 32"}
    assert counts("input_topic") == [{}, {}], "no reference yet"
    for field, scope in (("nothing", ALL), ("model", Scope(filter="cost.min=1")), ("model", Scope((("x", ("y",)),)))):
        with pytest.raises(NoSuchField):
            categories_in(project.pk, scope, field, windows)


def test_topics_are_those_of_the_reference_in_force(project):
    for ago in range(12, 4, -1):
        store_day(project, ago, 80, (1, 1, 1, 0), seed=ago)
    store_day(project, 1, 60, (1, 0, 0, 1), seed=99)
    assert drifting.learn_missing(project.pk) == 4, "all and the feature, inputs and outputs"
    windows = [Window(day_start(1), day_start(0))]

    [found] = categories_in(project.pk, ALL, "input_topic", windows)

    counts = dict(found.counts)
    assert sum(counts.values()) == 60
    assert counts["outside"] > 15
    names = DriftReference.objects.filter(side="input", feature=None).get().learned["names"]
    assert set(counts) <= {*names, "outside"}


def test_facts_weigh_a_sample_by_the_chance_it_had(project):
    store_day(project, 1, 30, (1, 1, 0, 0), seed=1, pi=0.25)

    facts, estimated = read_facts(project.pk, None, "output", day_start(1), day_start(0))

    assert (facts.n, estimated) == (30, 120.0)
    assert facts.categories["finish_reason"] == {"stop": 30}
    assert len(facts.numbers["output_length"]) == 30


# --- removal --------------------------------------------------------------------------------------------------------


def test_what_is_past_its_days_goes_and_a_frozen_reference_stays(project):
    project.retention_days = 30
    project.save()
    for ago in range(48, 40, -1):
        store_day(project, ago, 80, (1, 1, 1, 0), seed=ago)
    store_day(project, 2, 10, (1, 1, 1, 0), seed=1)
    drifting.learn_missing(project.pk)

    assert drifting.sweep_old() == 8 * 80 * 3

    assert len(samples(project)) == 10
    assert DriftReference.objects.filter(project=project, state="in_force").count() == 4


def test_a_removed_project_leaves_nothing(project):
    for ago in range(12, 4, -1):
        store_day(project, ago, 80, (1, 1, 1, 0), seed=ago)
    drifting.learn_missing(project.pk)
    DriftSettings.objects.create(project=project)

    for _ in drifting.erase_project(project.pk):
        pass

    for table in ("sample", "vector", "drift_due", "drift_hour", "driftreference", "driftreport", "driftsettings"):
        assert fetch(f"SELECT count(*) FROM alerts_{table} WHERE project_id = %s", project.pk) == [(0,)], table


# --- the application's own vectors ----------------------------------------------------------------------------------


def test_vectors_that_come_with_a_trace_are_kept_as_they_are(otlp, shop):  # noqa: F811
    DriftSettings.objects.create(project=shop.project, encoder="sender")
    own = [float(at % 7 - 3) for at in range(384)]
    listed = {"arrayValue": {"values": [{"doubleValue": value} for value in own]}}
    root = otlp.generation("aa" * 16, "aa" * 8)
    root["attributes"] += [
        {"key": "telltale.embedding.input", "value": listed},
        {"key": "telltale.embedding.output", "value": {"stringValue": str(own)}},
        {"key": "telltale.embedding.model", "value": {"stringValue": "own-v1"}},
    ]
    told = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "ada",
        "embedding.embeddings.0.embedding.text": "hello",
    }
    inner = otlp.span("bb" * 16, "bc" * 8, "bb" * 8, "embed", attributes=told)
    inner["attributes"].append({"key": "embedding.embeddings.0.embedding.vector", "value": listed})
    otlp.send(root)
    otlp.send(otlp.generation("bb" * 16, "bb" * 8), inner)

    assert run(shop.project) == 2

    kept = fetch("SELECT trace_id, side, encoder, data FROM alerts_vector ORDER BY trace_id, side")
    assert [(row[0].hex[:2], row[1], row[2]) for row in kept] == [
        ("aa", 1, "sender:own-v1/384"), ("aa", 2, "sender:own-v1/384"), ("bb", 1, "sender:ada/384"),
    ]  # fmt: skip
    wanted = np.array(own) / np.linalg.norm(own)
    for row in kept:
        assert unpack([row[3]], 384)[0] == pytest.approx(wanted, abs=1e-3)
