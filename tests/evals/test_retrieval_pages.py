"""The page of retrieval, its REST, and labels on documents: states, figures, questions asked of the database."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from html import unescape
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals.keeping.labelling import Label, label_documents
from evals.read.retrieval import read_retrieval
from evals.write import documents as write
from telltale.lib import clock
from tests.evals.judging_kit import make_version, sql
from tests.evals.retrieval_rows import judge_documents, store_retrievals
from traces import folding

pytestmark = pytest.mark.django_db
PAGE, API = "/p/shop/retrieval/", "/api/v1/retrieval"
LABELS = "/api/v1/documents/scores"


@pytest.fixture
def inside(project, alice, sign_in):
    return sign_in(alice)


def read(client, query=""):
    answer = client.get(PAGE + query)
    assert answer.status_code == 200, answer.content
    return unescape(re.sub(r"\s+", " ", answer.content.decode()))


def ask(client, key, query=""):
    answer = client.get(API + query, headers={"Authorization": f"Bearer {key.secret}"})
    assert answer.status_code == 200, answer.content
    return answer.json()


def send(client, key, items):
    return client.post(LABELS, {"items": items}, "application/json", headers={"Authorization": f"Bearer {key.secret}"})


def test_a_project_that_retrieves_nothing_is_told_what_appears_here(inside):
    page = read(inside)

    assert "Nothing was retrieved in this window" in page
    assert "Nothing was retrieved for this feature" in read(inside, "?feature=x")


def test_stages_stand_without_any_verdict(project, inside, key):
    store_retrievals(project, 3)
    folding.fold_roll_ups()

    page = read(inside)

    assert "<h1>Retrieval: no document was judged in this window</h1>" in page
    assert "No document was judged in this window" in page
    assert re.search(r"Retrieval</th><td[^>]*>3</td>", page)
    assert re.search(r"Generation</th><td[^>]*>3</td>", page)
    assert "3 requests of features that retrieve" in page
    stages = {each["stage"]: each for each in ask(inside, key)["stages"]}
    # 900 and 20 tokens of gpt-4o-mini, three times: 3 x (900 x 0.15 + 20 x 0.60) / 1,000,000.
    assert (stages["retriever"]["cost_usd"], float(stages["generation"]["cost_usd"])) == (None, pytest.approx(0.000441))
    assert "$0.0004" in page


def test_too_few_traces_are_said_to_be_too_few(project, inside, key):
    judge_documents(project, [uuid4() for _ in range(4)])

    page = read(inside)

    assert "<h1>Too little to tell: 4 of 20 traces with judged documents</h1>" in page
    assert "4 of 20 traces" in page
    told = ask(inside, key)["quality"][0]["precision"]
    assert (told["value"], told["n"], told["need"]) == (None, 4, 20)


def test_figures_are_those_worked_by_hand(project, inside, key):
    # 20 lists with R N R N N and 10 with N N N N N: precision at 3 is (20 x 2/3) / 30, at 1 it is 20/30.
    judge_documents(project, [uuid4() for _ in range(20)], "RNRNN")
    judge_documents(project, [uuid4() for _ in range(10)], "NNNNN")

    told = ask(inside, key, "?k=3")
    by_depth = {each["k"]: each for each in told["quality"] if each["feature"] is None}

    values = {k: (each["precision"]["value"], each["hit_rate"]["value"]) for k, each in by_depth.items()}
    assert values[1] == pytest.approx((2 / 3, 2 / 3))
    assert values[3] == pytest.approx((20 * 2 / 3 / 30, 2 / 3))
    assert values[5] == values[10] == pytest.approx((20 * 2 / 5 / 30, 2 / 3))
    assert told["mean_reciprocal_rank"]["value"] == pytest.approx(2 / 3)
    assert by_depth[3]["precision"]["low"] < values[3][0] < by_depth[3]["precision"]["high"]
    assert (told["retrievals"], told["documents"], told["is_capped"]) == (30, 150, False)
    assert [each["precision"] for each in told["worst"]][:10] == [0.0] * 10
    page = read(inside, "?k=3")
    said = re.search(
        r"<h1>(\S+) of retrievals find a document of use among the first 3; (\S+) of these documents are<", page
    )
    assert said[1].startswith("6")
    assert said[2].startswith("44")
    assert "Picked by hand: the figures speak for these retrievals alone." in page


def test_drawn_verdicts_speak_for_all_and_what_was_picked_beside_them_is_counted_in_words(project, inside, key):
    version = make_version(project, "rule").pk
    judge_documents(project, [uuid4() for _ in range(20)], "NNN", source=1, version=version, pi=1.0)
    judge_documents(project, [uuid4() for _ in range(20)], "RRR", source=1, version=version, pi=0.25)
    judge_documents(project, [uuid4() for _ in range(2)], "NNN", source=1, version=version)

    told = ask(inside, key)
    page = read(inside)

    assert told["by"] == f"judge-{version}"
    assert told["quality"][0]["precision"]["value"] == pytest.approx(0.8)
    assert (told["quality"][0]["is_sample"], told["quality"][0]["unweighted"]) == (True, 2)
    assert "Judged by Quality v1: 42 retrievals, 126 documents." in page
    assert "the figures speak for all retrievals that brought documents. 2 more were picked by hand" in page


def test_each_source_is_apart_and_can_be_chosen(project, inside, key):
    version = make_version(project, "rule").pk
    traces = [uuid4() for _ in range(25)]
    judge_documents(project, traces, "RRR", source=1, version=version, pi=0.5)
    judge_documents(project, traces[:22], "NNN", source=2)

    told = ask(inside, key, "?by=people")

    assert [each["by"] for each in told["choices"]] == [f"judge-{version}", "people"]
    assert (told["by"], told["quality"][0]["precision"]["value"]) == ("people", 0.0)
    assert "Judged by people: 22 retrievals" in read(inside, "?by=people")
    assert "Judged by Quality v1: 25" in read(inside, "?by=nobody")


def test_features_are_broken_down_and_filtered(project, inside, key):
    judge_documents(project, [uuid4() for _ in range(25)], "RRR", feature="help")
    judge_documents(project, [uuid4() for _ in range(22)], "NNN", feature="<b>shop")

    told = ask(inside, key)
    page = read(inside)

    assert {each["feature"]: each["precision"]["value"] for each in told["quality"] if each["feature"]} == {
        "help": 1.0, "<b>shop": 0.0,
    }  # fmt: skip
    assert "<b>shop</a>" in page  # unescaped by this test alone
    assert ask(inside, key, "?feature=help")["quality"][0]["precision"]["value"] == 1.0


def test_scores_of_the_retriever_are_drawn_apart_for_documents_of_use(project, inside, key):
    judge_documents(project, [uuid4() for _ in range(25)], "RRNNN")

    told = ask(inside, key)["retriever_scores"]

    # Ranks 1 and 2 score .9 and .8, the others .7, .6 and .5.
    assert (sum(told["relevant"]), sum(told["other"]), len(told["edges"])) == (50, 75, 13)
    assert (told["relevant_median"], told["other_median"]) == pytest.approx((0.8, 0.6))
    assert "Documents of use score 0.8 in the middle, others 0.6" in read(inside)


def test_odd_scores_of_the_retriever_break_nothing(project, inside, key):
    for score in (float("nan"), float("inf"), -1e308, 1e308):
        write.put_documents(project.pk, [
            write.DocumentScore(uuid4(), 1, 1, 3, 1.0, clock.now(), retrieval_score=score, document_id="x")
        ])  # fmt: skip

    assert "Too little to tell" in read(inside)
    assert ask(inside, key)["retrievals"] == 4


def test_the_worst_come_first_with_what_was_asked(project, inside):
    good, bad, worse = store_retrievals(project, 3, question="Where is <i>it</i>?")
    judge_documents(project, [good], "RRRRR")
    judge_documents(project, [bad], "RRNNN")
    judge_documents(project, [worse], "NNNNN")

    page = read(inside)

    order = [page.find(f"/traces/{each.hex}") for each in (worse, bad)]
    assert 0 < order[0] < order[1]
    assert f"/traces/{good.hex}" not in page
    assert f"{PAGE}{worse.hex}/" in page
    assert "Where is <i>it</i>?" in page  # unescaped by this test alone


def test_a_viewer_reads_and_is_not_sent_to_pages_of_reviewers(project, bob, sign_in):
    [trace] = store_retrievals(project, 1)
    judge_documents(project, [trace], "NN")
    client = sign_in(bob)

    assert f"{PAGE}{trace.hex}/" not in read(client)
    assert client.get(f"{PAGE}{trace.hex}/").status_code == 403


def test_labels_of_a_person_are_kept_changed_and_taken_back(project, inside, key):
    [trace] = store_retrievals(project, 1, documents=3)
    address = f"{PAGE}{trace.hex}/"
    names = re.findall(r'name="(d-?\d+-\d+)" value="1"', inside.get(address).content.decode())
    assert len(names) == 3

    inside.post(address, dict(zip(names, ("1", "0", "0"), strict=True)))
    assert sql("SELECT relevant_1, relevant_3, documents, judged, reciprocal FROM evals_retrieval") == [(1, 1, 3, 3, 1)]
    assert re.search(rf'name="{names[0]}" value="1" checked', inside.get(address).content.decode())

    inside.post(address, dict(zip(names, ("0", "1", ""), strict=True)))
    assert sql("SELECT relevant_1, relevant_3, documents, judged, reciprocal FROM evals_retrieval") == [
        (0, None, 3, 2, 0.5)
    ]

    inside.post(address, dict.fromkeys(names, ""))
    assert sql("SELECT count(*) FROM evals_document_score") == sql("SELECT count(*) FROM evals_retrieval") == [(0,)]


def test_what_is_posted_to_the_page_of_documents_may_be_anything(project, inside):
    [trace] = store_retrievals(project, 1, documents=2)

    assert inside.post(f"{PAGE}{trace.hex}/", {"d1-1": "9", "d\x00": "1", "x": "\ud800".encode("utf-8", "replace")})
    assert inside.get(f"{PAGE}{uuid4().hex}/").status_code == 404
    assert inside.get(f"{PAGE}nonsense/").status_code == 404
    assert sql("SELECT count(*) FROM evals_retrieval") == [(0,)]


def test_a_list_without_documents_or_with_very_many_is_shown(project, inside):
    [none] = store_retrievals(project, 1, documents=0)
    [many] = store_retrievals(project, 1, documents=130)

    assert "This trace holds no retrieved documents" in inside.get(f"{PAGE}{none.hex}/").content.decode()
    page = inside.get(f"{PAGE}{many.hex}/").content.decode()
    assert page.count('value="1"') == 100
    assert "30 more documents further down" in page


def test_labels_of_a_program_name_the_document_by_rank_or_id(project, client, key):
    [trace] = store_retrievals(project, 1, documents=3)

    answer = send(client, key, [
        {"trace_id": trace.hex, "rank": 1, "relevance": True},
        {"trace_id": trace.hex, "document_id": "d2", "relevance": 0.2},
        {"trace_id": trace.hex, "document_id": "d9", "relevance": 1},
        {"trace_id": trace.hex, "rank": 9, "relevance": 1},
        {"trace_id": uuid4().hex, "rank": 1, "relevance": 1},
    ])  # fmt: skip

    assert answer.status_code == 200, answer.content
    assert answer.json()["accepted"] == 2
    assert [each["index"] for each in answer.json()["refused"]] == [2, 3, 4]
    assert sql("SELECT source, rank, relevance FROM evals_document_score ORDER BY rank") == [(3, 1, 1.0), (3, 2, 0.2)]
    assert sql("SELECT documents, judged, relevant_1, relevant_3 FROM evals_retrieval") == [(3, 2, 1, None)]
    # Sent again with null they are taken back.
    send(client, key, [{"trace_id": trace.hex, "rank": rank, "relevance": None} for rank in (1, 2)])
    assert sql("SELECT count(*) FROM evals_retrieval") == [(0,)]


@pytest.mark.parametrize(
    "item",
    [
        None, 7, [], {}, {"trace_id": "x", "rank": 1, "relevance": 1}, {"trace_id": None, "rank": 1, "relevance": 1},
        {"trace_id": "0" * 32, "relevance": 1}, {"trace_id": "0" * 32, "rank": 1, "relevance": 2},
        {"trace_id": "0" * 32, "rank": 1, "relevance": "yes"}, {"trace_id": "0" * 32, "rank": True, "relevance": 1},
        {"trace_id": "0" * 32, "rank": 1.5, "relevance": 1}, {"trace_id": "0" * 32, "document_id": 3, "relevance": 1},
        {"trace_id": "0" * 32, "rank": 1, "relevance": 1, "span_id": "z"}, {"trace_id": "0" * 32, "rank": 1, "x": 1},
        {"trace_id": "0" * 32, "rank": 1, "relevance": []},
    ],
)  # fmt: skip
def test_a_bad_label_is_refused_by_its_field(project, client, key, item):
    answer = send(client, key, [item])

    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"].startswith("items[0]")


@pytest.mark.parametrize("body", ["[]", "{}", '{"items": 3}', '{"items": []}', '{"items": [], "x": 1}', "nonsense"])
def test_a_body_that_holds_no_labels_is_refused(project, client, key, body):
    answer = client.post(LABELS, body, "application/json", headers={"Authorization": f"Bearer {key.secret}"})

    assert answer.status_code == 400


def test_odd_labels_that_name_nothing_are_refused_one_by_one(project, client, key):
    [trace] = store_retrievals(project, 1, documents=1)
    told = [
        {"trace_id": trace.hex, "rank": 10**30, "relevance": 1},
        {"trace_id": trace.hex, "rank": -1, "relevance": 1},
        {"trace_id": trace.hex, "document_id": "a\x00", "relevance": 1},
        {"trace_id": trace.hex, "document_id": "\ud800", "relevance": 1},
        {"trace_id": trace.hex, "rank": 1, "relevance": 1, "span_id": "ffffffffffffffff"},
    ]

    answer = client.post(
        LABELS, json.dumps({"items": told}), "application/json", headers={"Authorization": f"Bearer {key.secret}"}
    )

    assert answer.status_code in (200, 400)
    assert sql("SELECT count(*) FROM evals_document_score") == [(0,)]


@pytest.mark.parametrize(
    "query",
    ["?t=nonsense", "?k=0", "?k=999999999999", "?feature=%00", "?feature=%ED%A0%80", "?by=%00x", "?by=judge-x",
     "?k=%00", "?from=2026-01-01&to=1999-01-01", "?t=24h&t=7d", "?feature=" + "x" * 3000],
)  # fmt: skip
def test_odd_addresses_are_answered(project, inside, query):
    judge_documents(project, [uuid4()], "R")

    assert inside.get(PAGE + query).status_code == 200


@pytest.mark.parametrize("query", ["?k=2", "?x=1", "?from=x", "?feature=%00", "?from=2026-02-01&to=2026-01-01"])
def test_rest_refuses_what_it_does_not_know(project, client, key, query):
    assert client.get(API + query, headers={"Authorization": f"Bearer {key.secret}"}).status_code == 400


def test_a_second_draw_reweighs_documents_too(project):
    version = make_version(project, "rule").pk
    one, other = uuid4(), uuid4()
    judge_documents(project, [one, other], "RN", source=1, version=version, pi=0.1)

    write.set_document_chances(project.pk, {(one, version): 0.55})

    wanted = {(one, 0.55), (other, 0.1)}
    assert set(sql("SELECT trace_id, pi FROM evals_retrieval")) == wanted
    assert set(sql("SELECT trace_id, pi FROM evals_document_score")) == wanted


def test_the_same_page_asks_the_same_however_much_there_is(project, inside):
    traces = store_retrievals(project, 3)
    judge_documents(project, traces, "NN")
    folding.fold_roll_ups()
    read(inside)
    with CaptureQueriesContext(
        connection,
    ) as few:
        read(inside)
    for feature in ("help", "shop", "more"):
        judge_documents(project, store_retrievals(project, 12, feature=feature), "RNN", feature=feature)
        judge_documents(project, [uuid4() for _ in range(12)], "NNN", feature=feature, source=2)
    folding.fold_roll_ups()
    with CaptureQueriesContext(connection) as many:
        read(inside)

    assert len(many) == len(few)
    assert len(few) <= 40


def test_a_window_is_read_by_its_index(project):
    judge_documents(project, [uuid4() for _ in range(5)], "RN")
    judge_documents(project, [uuid4() for _ in range(5)], "RN", source=2)
    now = clock.now()
    with connection.cursor() as cursor:
        # Of ten rows the planner would read all: what counts is that it need not.
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(
            "EXPLAIN SELECT * FROM evals_retrieval WHERE project_id = %s AND source = 3 AND judge_version_id = 0"
            " AND started_at >= %s AND started_at < %s ORDER BY started_at DESC LIMIT 100000",
            [project.pk, now - timedelta(days=7), now],
        )
        plan = " ".join(row[0] for row in cursor.fetchall())

    assert "evals_retrieval_window" in plan
    assert "Sort" not in plan


def test_another_project_sees_none_of_it(project, alice):
    judge_documents(project, [uuid4() for _ in range(25)], "RN")
    now = clock.now()

    assert read_retrieval(project.pk + 1, "UTC", now - timedelta(days=1), now).choices == ()
    assert read_retrieval(project.pk, "UTC", now - timedelta(days=1), now).retrievals == 25


def test_two_labels_on_one_document_count_as_the_last(project):
    [trace] = store_retrievals(project, 1, documents=2)

    done = label_documents(project, [Label(trace, 1.0, 1), Label(trace, 0.0, 1)], source=3)

    assert (done.accepted, done.refused) == (2, ())
    assert sql("SELECT rank, relevance FROM evals_document_score") == [(1, 0.0)]
