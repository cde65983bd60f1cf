"""The index: whatever was sent is found by its words, once, whatever happens to the process that takes it in."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import orjson
import pytest
from django.db import transaction

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces import indexing
from traces.erasure import erase_project
from traces.read import TraceFilter, list_traces
from traces.read.search import read_backlog, read_state
from traces.write import feed, partitions, retention, search, search_merge
from traces.write.feed import Consumer


def trace(n):
    return f"{n:032x}"


@pytest.fixture
def project(shop):
    return shop.project.pk


def found(project, q, **more):
    page = list_traces(project, TraceFilter(q=q, **more))
    return [row.trace_id.int for row in page.rows]


def fetch(query, *params):
    with raw_cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def segments():
    return fetch("SELECT docs, gone FROM traces_search_segment ORDER BY first_version")


def send_said(otlp, n, text, **more):
    otlp.send(otlp.generation(trace(n), f"{n:016x}", said="short " + "x " * 200 + text, **more))


LONG = "filler words before it " * 20


@pytest.mark.parametrize(
    ("text", "queries"),
    [
        (LONG + "a Refund, please", ["refund", "REFUND", "refu", '"refund please"', "refund please"]),
        (LONG + "أريد طَلَبَ الإسترداد", ["طلب", "استرداد", "الاسترداد"]),
        (LONG + "我想要退款，谢谢", ["退款", "想要", "谢谢", '"我想要退款"']),
        (LONG + "返品をお願いします", ["返品", "お願い"]),
        (LONG + "ขอคืนเงินค่ะ", ["คืนเงิน"]),
        (LONG + "Größe Müller Straße", ["größe", "Grosse", "groesse", "mueller", "MÜLLER", "strasse"]),
        (LONG + "order-2024-001 of anna.schmidt@example.com", ["order-2024-001", "2024", "anna.schmidt@example.com"]),
        (LONG + "550e8400-e29b-41d4-a716-446655440000", ["550E8400-E29B-41D4-A716-446655440000", "446655440000"]),
        (LONG + "/var/log/shop.service.log", ["/var/log/shop.service.log", "shop.service.log"]),
        (LONG + "возврат денег", ["Возврат", "деньг*", "денег"]),
        (LONG + "धनवापसी चाहिए", ["धनवापसी"]),
    ],
)
def test_a_planted_text_is_found_by(otlp, project, text, queries):
    send_said(otlp, 1, "nothing to see")
    send_said(otlp, 2, text)
    indexing.index_changes()

    told = {q: found(project, q) for q in queries if q != "деньг*"}

    assert set(map(tuple, told.values())) == {(2,)}


def test_everything_that_is_sent_is_found(otlp, project):
    span = otlp.span(
        trace(1), "a1" * 8, name="planted_root", status={"code": 2, "message": "planted_status went wrong"},
        attributes={
            "gen_ai.tool.call.arguments": orjson.dumps({"reference": "planted_argument", "n": 471100}).decode(),
            "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "planted_tool",
            "user.id": "planted_user", "session.id": "planted_session", "custom.key": "planted_attribute",
            "metadata": orjson.dumps({"plan": "planted_metadata"}).decode(), "exotic": "Ärger planted_umlaut",
            "retrieval.documents.0.document.content": "planted_document",
        },
        events=[{"name": "exception", "timeUnixNano": str(otlp.start_ns), "attributes": [
            {"key": "exception.message", "value": {"stringValue": "planted_exception"}}]}],
    )  # fmt: skip
    otlp.send(span)
    otlp.send(otlp.span(trace(2), "b2" * 8, name="other"))
    indexing.index_changes()

    words = ["root", "status", "argument", "tool", "user", "session", "attribute", "metadata", "umlaut", "document"]
    told = {word: found(project, f"planted_{word}") for word in [*words, "exception"]}

    assert set(map(tuple, told.values())) == {(1,)}
    assert found(project, "471100") == [1]
    assert found(project, "a1" * 8) == [1]
    assert found(project, trace(1)) == [1]


def test_text_that_its_sender_escaped_is_found(otlp, project):
    escaped = '[{"role": "user", "parts": [{"type": "text", "content": "\\u0637\\u0644\\u0628 planted"}]}]'
    otlp.send(otlp.generation(trace(1), "01" * 8, attributes={"gen_ai.input.messages": escaped}))
    indexing.index_changes()

    assert found(project, "طلب") == [1]


def test_how_messages_are_built_is_no_text(otlp, project):
    send_said(otlp, 1, "hello")
    indexing.index_changes()

    assert [found(project, word) for word in ("parts", "content", "assistant")] == [[], [], []]


def test_log_events_are_found_whichever_comes_first(otlp, shop, project):
    record = {
        "timeUnixNano": str(otlp.start_ns), "traceId": trace(1), "spanId": "01" * 8,
        "eventName": "gen_ai.user.message", "body": {"kvlistValue": {"values": [
            {"key": "content", "value": {"stringValue": "planted in a log"}}]}},
    }  # fmt: skip
    body = {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "x"}, "logRecords": [record]}]}]}
    otlp.send(otlp.generation(trace(1), "01" * 8))
    indexing.index_changes()
    answer = shop.nobody.post("/v1/logs", body, "application/json", headers=shop.key("ingest"))
    assert answer.status_code == 200
    indexing.index_changes()

    assert found(project, "planted") == [1]


def test_a_late_span_is_found_with_its_trace_which_counts_once(otlp, project):
    otlp.send(otlp.generation(trace(1), "01" * 8, said=LONG + "early"))
    indexing.index_changes()
    otlp.send(otlp.generation(trace(1), "02" * 8, "01" * 8, said=LONG + "late", at_ms=-5000))
    indexing.index_changes()

    assert found(project, "early late") == found(project, "late") == [1]
    assert found(project, "early -late") == []
    assert segments() == [(1, 1), (1, 0)]


def test_what_is_not_indexed_yet_is_found_by_its_row(otlp, project):
    otlp.send(otlp.generation(trace(1), "01" * 8, said="a planted question"))

    assert found(project, "planted") == [1]
    assert found(project, "planted -question") == []
    state = read_state(project)
    assert (state.pending, state.is_more) == (1, False)
    assert state.since is not None
    assert read_backlog().entries == 1

    indexing.index_changes()

    assert found(project, "planted") == [1]
    assert read_state(project).pending == 0
    assert read_state(project).since is None


def test_a_window_and_filters_narrow_what_is_found(otlp, project):
    for n in range(1, 6):
        feature = {"telltale.feature": "returns" if n % 2 else "search"}
        otlp.send(otlp.generation(trace(n), f"{n:016x}", said=LONG + "planted", at_ms=n * 1000, attributes=feature))
    indexing.index_changes()
    at = [clock.from_ns(otlp.start_ns + n * 10**9) for n in range(7)]

    assert found(project, "planted") == [5, 4, 3, 2, 1]
    assert found(project, "planted", start=at[2], end=at[4]) == [3, 2]
    assert found(project, "planted", end=at[1]) == []
    with_feature = replace(TraceFilter(q="planted"), terms=parse("feature", "returns"))
    page = list_traces(project, with_feature)
    assert [row.trace_id.int for row in page.rows] == [5, 3, 1]
    assert (page.count.n, page.count.is_exact) == (3, True)
    assert [row.trace_id.int for row in list_traces(project, TraceFilter(q="planted"), "started_at").rows] == [
        1,
        2,
        3,
        4,
        5,
    ]
    assert len(list_traces(project, with_feature, "-duration").rows) == 3


def parse(key, *values):
    from traces.read import parse_terms

    return parse_terms([(key, list(values))])[0]


def test_a_pass_that_dies_leaves_everything_as_it_was(otlp, project, monkeypatch):
    send_said(otlp, 1, "planted")
    monkeypatch.setattr(search, "keep_segment", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        indexing.index_changes()
    assert segments() == []
    assert fetch("SELECT count(*) FROM traces_search_block") == [(0,)]
    assert read_state(project).pending == 1

    monkeypatch.undo()
    indexing.index_changes()

    assert found(project, "planted") == [1]
    assert segments() == [(1, 0)]


def test_what_ends_its_worker_is_taken_alone_and_then_set_aside(otlp, project, monkeypatch):
    for n in range(1, 8):
        send_said(otlp, n, "planted" if n == 3 else "harmless")
    real = search.gather

    def deadly(cursor, project_id, trace_ids, **more):
        if not more.get("bare") and UUID(int=3) in set(trace_ids):
            raise MemoryError
        return real(cursor, project_id, trace_ids, **more)

    monkeypatch.setattr(search, "gather", deadly)
    tries = 0
    while read_state(project).pending and tries < 40:
        tries += 1
        try:
            indexing.index_changes()
        except MemoryError:
            indexing.leases.let_go(indexing.LEASE)

    assert tries < 20
    assert found(project, "harmless") == [7, 6, 5, 4, 2, 1]
    assert found(project, trace(3)) == [3]  # by its row
    assert found(project, "planted") == []
    assert read_backlog().set_aside == 1
    assert read_state(project).incomplete == 1


def test_a_body_that_cannot_be_read_costs_only_its_own_words(otlp, project):
    send_said(otlp, 1, "planted")
    send_said(otlp, 2, "planted")
    fetch("UPDATE traces_payload SET data = 'no zstd' WHERE trace_id = %s RETURNING 1", UUID(int=1))
    indexing.index_changes()

    assert found(project, "planted") == [2]
    assert found(project, "chat") == [2, 1]
    assert read_backlog().set_aside == 1


def test_a_long_text_is_cut_and_told_of(otlp, project):
    words = " ".join(f"word{n}" for n in range(45_000))
    otlp.send(otlp.generation(trace(1), "01" * 8, said=words))
    indexing.index_changes()

    assert found(project, "word1") == [1]
    assert found(project, "word44999x") == []
    assert read_state(project).incomplete == 1


def test_an_encoded_file_leaves_room_for_the_words(otlp, project):
    otlp.send(otlp.generation(trace(1), "01" * 8, said="QUJDREVG" * 60_000, answered="planted answer"))
    indexing.index_changes()

    assert found(project, "planted") == [1]
    assert read_state(project).incomplete == 0


def test_an_entry_of_many_traces_is_taken_in_pieces(otlp, project, monkeypatch):
    monkeypatch.setattr(search, "ENTRY_TRACES", 3)
    otlp.send(*[otlp.generation(trace(n), f"{n:016x}", said=LONG + "planted") for n in range(1, 12)])
    since = read_state(project).since

    assert search.index_pass(project, traces=2).traces == 2
    state = read_state(project)
    assert (state.pending, state.since) == (9, since)
    indexing.index_changes()

    assert len(found(project, "planted")) == 11
    assert sum(docs for docs, _ in segments()) == 11


def test_a_large_trace_waits_until_it_is_quiet(otlp, project, monkeypatch):
    monkeypatch.setattr(search, "LARGE_SPANS", 1)
    otlp.send(otlp.generation(trace(1), "01" * 8), otlp.generation(trace(1), "02" * 8))
    send_said(otlp, 2, "planted")
    indexing.index_changes()
    assert fetch("SELECT trace_id FROM traces_search_doc") == [(UUID(int=2),)]

    fetch("UPDATE traces_trace SET updated_at = now() - interval '11 s' RETURNING 1")
    indexing.index_changes()

    assert fetch("SELECT count(*) FROM traces_search_doc") == [(2,)]
    assert read_state(project).pending == 0


def test_a_trace_that_was_removed_leaves_the_index(otlp, project):
    send_said(otlp, 1, "planted")
    send_said(otlp, 2, "planted")
    indexing.index_changes()
    fetch("DELETE FROM traces_trace WHERE trace_id = %s RETURNING 1", UUID(int=1))
    with transaction.atomic(), raw_cursor() as cursor:
        feed.tell(cursor, project, [UUID(int=1)], (Consumer.SEARCH,))
    indexing.index_changes()

    page = list_traces(project, TraceFilter(q="planted"))
    assert ([row.trace_id.int for row in page.rows], page.count.n) == ([2], 1)
    before = blocks_size()
    assert search_merge.purge(project) == 1
    assert blocks_size() < before
    assert found(project, "planted") == [2]


def blocks_size():
    return fetch("SELECT sum(docs) FROM traces_search_segment")[0][0]


def test_merged_segments_find_the_same(otlp, project, monkeypatch):
    for n in range(1, 21):
        send_said(otlp, n, f"planted word{n % 3}", at_ms=(n * 7919) % 1000)
        indexing.index_changes()
    send_said(otlp, 5, "again", at_ms=-900)
    indexing.index_changes()
    before = {q: found(project, q) for q in ("planted", "word1", "word2 -again", "again")}

    assert indexing.merge_segments() >= search_merge.RUN

    assert len(segments()) < 14
    assert {q: found(project, q) for q in before} == before


def test_what_goes_while_segments_merge_stays_gone(otlp, project, monkeypatch):
    for n in range(1, 4):
        send_said(otlp, n, "planted")
        indexing.index_changes()
    real = search_merge.merge_documents

    def meanwhile(sources):
        with raw_cursor() as cursor:
            search._let_go(cursor, project, {UUID(int=2)})
        return real(sources)

    monkeypatch.setattr(search_merge, "merge_documents", meanwhile)
    rows = fetch("SELECT day, segment_id FROM traces_search_segment ORDER BY first_version")
    assert search_merge.merge(project, rows[0][0], [row[1] for row in rows]) == 3

    assert segments() == [(3, 1)]
    assert found(project, "planted") == [3, 1]


def test_an_installation_that_upgrades_gets_its_old_traces_in_the_background(otlp, project, monkeypatch):
    monkeypatch.setattr(indexing, "SLICE_TRACES", 2)
    for n in range(1, 6):
        send_said(otlp, n, "planted", at_ms=n * 1000)
    fetch("DELETE FROM traces_feed RETURNING 1")

    indexing.index_changes()
    assert not read_state(project).is_backfilled
    indexing.index_changes()
    (job,) = Job.objects.filter(kind=indexing.BACKFILL)
    ended = work.run_now(job)

    assert (ended.state, ended.progress, ended.total, ended.result) == ("done", 5, 5, {"traces": 5})
    assert read_state(project).is_backfilled
    assert found(project, "planted") == [5, 4, 3, 2, 1]
    indexing.index_changes()
    assert Job.objects.filter(kind=indexing.BACKFILL).count() == 1


def test_rebuilding_starts_from_nothing_and_finds_everything_again(otlp, project):
    for n in range(1, 4):
        send_said(otlp, n, "planted")
    indexing.index_changes()

    job = indexing.rebuild(project)
    assert segments() == []
    work.run_now(Job.objects.get(pk=job))

    assert found(project, "planted") == [3, 2, 1]
    assert read_state(project).is_backfilled


def test_what_retention_removes_leaves_the_index(otlp, shop, project):
    send_said(otlp, 1, "planted", at_ms=-40 * 86_400_000)
    send_said(otlp, 2, "planted")
    indexing.index_changes()
    shop.project.retention_days = 30
    shop.project.save()
    retention.sweep()
    assert found(project, "planted") == [2]

    indexing.sweep()

    assert segments() == [(1, 0)]
    assert fetch("SELECT trace_id FROM traces_search_doc") == [(UUID(int=2),)]
    assert fetch("SELECT count(DISTINCT segment_id) FROM traces_search_block") == [(1,)]


def test_an_erased_project_leaves_nothing_in_the_index(otlp, project):
    send_said(otlp, 1, "planted")
    indexing.index_changes()

    list(erase_project(project))

    for table in ("state", "doc", "segment", "block"):
        assert fetch(f"SELECT count(*) FROM traces_search_{table} WHERE project_id = %s", project) == [(0,)]


def test_another_projects_traces_are_not_found(otlp, shop, project):
    send_said(otlp, 1, "planted")
    otlp.send(otlp.generation(trace(9), "09" * 8, said=LONG + "planted"), project=shop.elsewhere)
    indexing.index_changes()

    assert found(project, "planted") == [1]
    assert found(shop.elsewhere.pk, "planted") == [9]


def test_a_start_without_a_day_of_its_own_is_found_too(otlp, project, monkeypatch):
    monkeypatch.setattr(partitions, "PAST_DAYS", 2)
    send_said(otlp, 1, "planted", at_ms=-5 * 86_400_000)
    send_said(otlp, 2, "planted")
    indexing.index_changes()

    assert found(project, "planted") == [2, 1]
    assert fetch("SELECT min(day) FROM traces_search_segment") == [(search.FAR_DAY,)]


def test_nothing_to_do_costs_one_look(project, django_assert_max_num_queries):
    indexing.index_changes()
    with django_assert_max_num_queries(3):
        assert indexing.index_changes() == 0
