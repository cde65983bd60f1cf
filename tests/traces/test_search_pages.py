"""Searching as people do: on the page of the list, over REST, in a file, from the next trace to the next."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO

import pytest

from telltale.lib import clock
from telltale.run.commands import run_command
from traces import indexing
from traces.read import asking as asking_module
from traces.read import search as read_search

LIST = "/p/shop/traces/"
LONG = "filler words before it " * 20


def trace(n):
    return f"{n:032x}"


@pytest.fixture
def planted(otlp, shop):
    """Traces 1-6: all say "common"; the third has an Arabic word, the fifth tags that are no HTML."""
    texts = {3: "طَلَبُ الاسترداد", 5: "<b>wild</b> & <script>alert(1)</script>"}
    for n in range(1, 7):
        said = f"question {n} " + LONG + f"common {texts.get(n, '')}"
        otlp.send(otlp.generation(trace(n), f"{n:016x}", said=said, at_ms=n * 1000))
    indexing.index_changes()
    return shop


def get(client, **query):
    return client.get(LIST, query)


def ids(page):
    return [int(found, 16) for found in re.findall(rf'data-item href="{LIST}([0-9a-f]{{32}})/', page)]


def rest(shop, **query):
    answer = shop.nobody.get("/api/v1/traces", query, headers=shop.key("read"))
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_the_page_lists_what_was_found_with_the_words_marked(planted):
    page = get(planted.alice, q="استرداد").content.decode()

    assert ids(page) == [3]
    assert "<mark>الاسترداد</mark>" in page
    assert "1 trace matches" in page


def test_what_a_sender_wrote_stays_text(planted):
    page = get(planted.alice, q="wild").content.decode()

    assert ids(page) == [5]
    assert "&lt;b&gt;<mark>wild</mark>&lt;/b&gt; &amp; &lt;script&gt;" in page


def test_only_members_search(planted):
    assert get(planted.charlie, q="common").status_code == 404
    assert ids(get(planted.bob, q="common").content.decode()) == [6, 5, 4, 3, 2, 1]


def test_a_search_for_nothing_says_so_and_leaves_it_out(planted):
    page = get(planted.alice, q="!!!").content.decode()

    assert "q holds nothing to look for" in page
    assert "letters, digits or pictures" in page
    assert len(ids(page)) == 6
    assert get(planted.alice, q="!!!", format="csv").status_code == 200
    answer = planted.nobody.get("/api/v1/traces", {"q": "!!!"}, headers=planted.key("read"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "q")


@pytest.mark.parametrize(
    "q", ['"', "-", "“", "a" * 300, "* *", "'; DROP TABLE x --", "%", "\\", "(a|b)", "a:b & !c", "𝕏"]
)
def test_no_search_breaks_a_page(planted, q):
    assert get(planted.alice, q=q).status_code == 200


def test_what_is_not_indexed_yet_is_told(planted, otlp):
    otlp.send(otlp.generation(trace(7), "07" * 8, said="a common late one", at_ms=9000))

    page = get(planted.alice, q="common").content.decode()

    assert ids(page) == [7, 6, 5, 4, 3, 2, 1]
    assert re.search(r"Searched up to \d\d:\d\d:\d\d, \d+ s behind\. 1 trace is not indexed as it is now", page)
    indexing.index_changes()
    assert "Searched up to" not in get(planted.alice, q="common").content.decode()
    assert "Searched up to" not in get(planted.alice).content.decode()


def test_a_filling_index_says_how_far_it_is(planted):
    indexing.rebuild(planted.project.pk)

    page = get(planted.alice, q="common").content.decode()

    assert "Older traces are still being indexed." in page
    assert rest(planted, q="common")["search"]["is_backfilled"] is False


def test_rest_finds_the_same_and_tells_where(planted):
    found = rest(planted, q="استرداد")

    assert [int(item["trace_id"], 16) for item in found["items"]] == [3]
    assert found["search"]["searched_until"] is None
    assert found["search"]["pending_traces"] == 0
    (match,) = found["search"]["matches"]
    assert match["trace_id"] == trace(3)
    assert {"text": "الاسترداد", "is_match": True} in match["snippet"]
    assert rest(planted)["search"] is None
    assert rest(planted, q=trace(2))["search"] is None


def test_pages_of_what_was_found_lead_to_each_other(planted):
    seen, address = [], None
    query = {"q": "common", "limit": 2}
    while True:
        answer = (
            rest(planted, **query)
            if address is None
            else planted.nobody.get(address, headers=planted.key("read")).json()
        )
        seen.append([int(item["trace_id"], 16) for item in answer["items"]])
        address = answer["next"]
        if address is None:
            break

    assert seen == [[6, 5], [4, 3], [2, 1]]
    back = planted.nobody.get(answer["previous"], headers=planted.key("read")).json()
    assert [int(item["trace_id"], 16) for item in back["items"]] == [4, 3]


def test_a_file_holds_what_was_found(planted):
    lines = b"".join(get(planted.alice, q="common -wild", format="ndjson").streaming_content).splitlines()

    assert len(lines) == 5


def test_the_next_trace_is_the_next_that_matches(planted):
    page = planted.alice.get(f"{LIST}{trace(3)}/", {"q": "question -wild"}).content.decode()

    assert f"{LIST}{trace(4)}/?q=question" in page
    assert f"{LIST}{trace(2)}/?q=question" in page
    page = planted.alice.get(f"{LIST}{trace(4)}/", {"q": "question -wild"}).content.decode()
    assert f"{LIST}{trace(6)}/?q=question" in page
    assert planted.alice.get(f"{LIST}{trace(4)}/", {"q": "!!!"}).status_code == 200


def test_facets_and_counts_are_of_what_was_found(planted, otlp):
    otlp.send(
        otlp.generation(trace(8), "08" * 8, said=LONG + "other", attributes={"telltale.feature": "planted-feature"})
    )
    indexing.index_changes()

    assert "planted-feature" not in get(planted.alice, q="common").content.decode()
    assert "planted-feature" in get(planted.alice, q="other").content.decode()


def test_a_search_that_takes_too_long_is_told_kindly(planted, monkeypatch):
    monkeypatch.setattr(read_search.Hits, "_check_time", lambda self: (_ for _ in ()).throw(asking_module.TooSlow))

    answer = get(planted.alice, q="common")

    assert answer.status_code == 503
    assert b"This took too long" in answer.content


def test_the_number_of_queries_does_not_grow_with_what_is_found(planted, otlp, django_assert_num_queries):
    def queries(q):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        get(planted.alice, q=q)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            get(planted.alice, q=q)
        return len(captured)

    few = queries("wild")
    for n in range(20, 40):
        otlp.send(otlp.generation(trace(n), f"{n:016x}", said=LONG + "common", at_ms=n * 1000))
    indexing.index_changes()

    assert queries("common") <= few


def test_the_command_tells_and_rebuilds(planted):
    out = StringIO()
    assert run_command(["search", "--project", "shop"], out) == 0
    assert out.getvalue() == "shop: up to date\n"
    out = StringIO()
    assert run_command(["search", "--rebuild", "--project", "shop"], out) == 0
    assert out.getvalue() == "shop: 6 traces indexed.\n"
    assert run_command(["search", "--project", "nope"], StringIO()) == 1
    assert ids(get(planted.alice, q="common").content.decode()) == [6, 5, 4, 3, 2, 1]


def test_a_window_bounds_what_is_found(planted):
    early = (clock.now() - timedelta(days=3)).isoformat()
    found = rest(planted, q="common", to=early)
    assert found["items"] == []


def test_the_longest_query_reads_in_rounds_and_finds(planted):
    q = " ".join(f"que{letter}*" for letter in "abcdefgh") + " -xyz " + "common " * 5 + "question* filler bef* wor*"

    assert get(planted.alice, q=q).status_code == 200
    assert len(rest(planted, q="question* filler bef* wor* common -xyz")["items"]) == 6
