"""The pages of datasets and experiments: what they say in each state, what forms do, what they ask."""

from __future__ import annotations

import csv
import io
import json
import re
from html import unescape
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from evals import keeping
from evals.keeping import By, NewItem
from evals.models import Dataset, Experiment, ExperimentResult
from evals.pages.comparison_view import word_of
from evals.read import datasets as read
from evals.read.comparison import Measure
from telltale.jobs import work
from tests.evals.judging_kit import LENGTH_RULE, YES_NO, make_version, sql, store_traces
from tests.evals.retrieval_rows import store_retrievals

pytestmark = pytest.mark.django_db
DATASETS, EXPERIMENTS = "/p/shop/datasets/", "/p/shop/experiments/"


@pytest.fixture
def inside(project, alice, sign_in):
    return sign_in(alice)


def fill(project, n=12, slug="returns"):
    if read.get_dataset(project.pk, slug) is None:
        keeping.make_dataset(project, slug.title(), by=By())
    items = [NewItem(f"k{i:03}", {"question": f"Q{i} <b>"}, f"A{i}") for i in range(n)]
    keeping.put_items(project, slug, items, by=By())


def experiment(project, value, n=12, name="run"):
    made = Experiment.objects.create(
        project=project, dataset=Dataset.objects.get(slug="returns"), dataset_version=1, name=name, source="posted",
        state="done", metrics=["exact_match"],
    )  # fmt: skip
    ExperimentResult.objects.bulk_create(
        ExperimentResult(
            experiment=made, item_key=f"k{i:03}", target_id=uuid4(), state="done", output=f"out {i} <i>",
            metrics={"reference": {"exact_match": value(i)}}, latency_ms=100.0 + i, cost_pico=10**9,
        )
        for i in range(n)
    )  # fmt: skip
    return made.pk


def file(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode("utf-8-sig")


def page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def test_empty_pages_say_what_to_do_next(inside):
    assert "No datasets yet" in page(inside, DATASETS)
    assert "An experiment runs over a dataset" in page(inside, EXPERIMENTS)
    assert "No dataset with items yet" in page(inside, EXPERIMENTS + "new/")
    assert "No trace was chosen" in page(inside, DATASETS + "add/")


def test_a_dataset_is_made_filled_by_file_and_exported_again(inside, project):
    made = inside.post(DATASETS, {"name": "Refunds", "description": "why"})
    upload = SimpleUploadedFile("faq.csv", b"id,question,answer\n1,May I?,Yes\n2,=1+1,No\n")
    added = inside.post(made.url + "items/new/", {"file": upload, "note": "first file"})

    assert added.url == made.url == "/p/shop/datasets/refunds/"
    text = page(inside, made.url)
    assert "first file" in text
    assert "May I?" in text
    csv = b"".join(inside.get(made.url + "?format=csv")).decode()
    assert csv.splitlines()[1:] == [
        "1,May I?,Yes,{},file,,,faq.csv row 1,", "2,'=1+1,No,{},file,,,faq.csv row 2,",
    ]  # fmt: skip
    again = SimpleUploadedFile("back.csv", csv.encode())
    inside.post(made.url + "items/new/", {"file": again})
    assert read.get_dataset(project.pk, "refunds").version == 1


def test_a_bad_file_is_told_and_nothing_is_kept(inside, project):
    fill(project)

    answer = inside.post(DATASETS + "returns/items/new/", {"file": SimpleUploadedFile("x.csv", b"a,b\n1,2\n")})

    assert answer.status_code == 400
    assert "must name the column that holds the input" in answer.content.decode()
    assert read.get_dataset(project.pk, "returns").version == 1


def test_editing_an_item_makes_a_version_and_both_can_be_read(inside, project):
    fill(project)
    where = DATASETS + "returns/item/k003/"

    saved = inside.post(where, {"input": '{"question": "New?"}', "expected": "B", "metadata": "", "note": "typo"})
    broken = inside.post(where, {"input": '{"question": ', "expected": "B", "metadata": ""})

    assert saved.status_code == 302
    assert broken.status_code == 400
    assert "begins like JSON and is none" in broken.content.decode()
    assert "New?" in page(inside, where)
    assert "Q3 &lt;b&gt;" in page(inside, where + "?v=1")
    diff = page(inside, DATASETS + "returns/diff/")
    assert "1 item differs between version 1 and 2" in diff
    assert "Removed" not in diff


def test_traces_become_items_with_their_origin(inside, project):
    ids = store_traces(project, 2)

    form = page(inside, DATASETS + f"add/?trace={ids[0].hex}&pick={ids[1].hex}")
    wanted = {"trace": [each.hex for each in ids] + ["0" * 32], "name": "From traffic", "answer": "on"}
    added = inside.post(DATASETS + "add/", wanted)

    assert "Add 2 traces to a dataset" in form
    assert added.url == DATASETS + "from-traffic/"
    items = read.all_items(read.get_dataset(project.pk, "from-traffic").id, 1)
    assert {item.trace_id for item in items} == set(ids)
    assert [(item.input["question"], item.expected, item.origin, item.pi) for item in items] == [
        ("When do you open?", "It opens at nine.", "trace", None)
    ] * 2
    assert "1 told nothing of what was asked and was left out" in page(inside, added.url)


def test_a_filtered_list_of_traces_becomes_a_dataset(inside, project):
    wanted = store_traces(project, 3, feature="returns")
    store_traces(project, 2, feature="help")

    listed = page(inside, "/p/shop/traces/?feature=returns&columns=pick,name")
    href = unescape(re.search(r'href="([^"]*datasets/add/\?[^"]*)"', listed)[1])
    form = page(inside, href)
    traces = re.findall(r'name="trace" value="([0-9a-f]{32})"', form)
    added = inside.post(DATASETS + "add/", {"trace": traces, "name": "Returns"})

    assert "feature=returns" in href
    assert f'formaction="{DATASETS}add/"' in listed
    assert "Add 3 traces to a dataset" in form
    assert set(traces) == {each.hex for each in wanted}
    assert "from 3 traces" in page(inside, added.url)
    assert "No trace was chosen" in page(inside, DATASETS + "add/?feature=none-of-it&t=1h")
    odd = page(inside, DATASETS + "add/?duration_ms.min=x&t=1h")
    assert "The list was not understood" in odd


def test_a_trace_leads_to_datasets_and_to_its_documents(inside, project, bob, sign_in):
    [plain] = store_traces(project, 1)
    [fetched] = store_retrievals(project, 1)

    texts = [page(inside, f"/p/shop/traces/{each.hex}/") for each in (plain, fetched)]

    assert f"{DATASETS}add/?trace={plain.hex}" in texts[0]
    assert "Label its documents" not in texts[0]
    assert f"/p/shop/retrieval/{fetched.hex}/" in texts[1]
    assert "Add to a dataset" not in page(sign_in(bob), f"/p/shop/traces/{plain.hex}/")
    assert "Add to a dataset" not in page(sign_in(bob), "/p/shop/traces/?t=1h")


def test_results_and_differences_are_files_too(inside, project):
    fill(project, 12)
    old, new = (experiment(project, lambda i, value=value: value) for value in (1.0, 0.0))

    rows = list(csv.DictReader(io.StringIO(file(inside, f"{EXPERIMENTS}{new}/?format=csv"))))
    lines = [json.loads(line) for line in file(inside, f"{EXPERIMENTS}{new}/?format=ndjson").splitlines()]
    pairs = list(csv.DictReader(io.StringIO(file(inside, f"{EXPERIMENTS}{new}/?against={old}&format=csv"))))

    assert len(rows) == len(lines) == 12
    assert (rows[3]["item_key"], json.loads(rows[3]["input"]), rows[3]["output"]) == (
        "k003", {"question": "Q3 <b>"}, "out 3 <i>",
    )  # fmt: skip
    assert lines[3]["metrics"] == {"exact_match": 0.0}
    matches = [each for each in pairs if each["measure"] == "metric.exact_match"]
    assert {(float(each["new"]), float(each["old"]), float(each["change"])) for each in matches} == {(0.0, 1.0, -1.0)}
    assert len(matches) == 12


def test_an_experiment_opens_and_its_page_tells_its_state(inside, project):
    fill(project)
    make_version(project, "rule", slug="short", config=LENGTH_RULE, rubric=YES_NO)

    made = inside.post(EXPERIMENTS + "new/", {"dataset": "returns", "source": "posted", "judge": "short",
                                              "metric": ["exact_match", "token_f1"], "name": "prompt v2"})  # fmt: skip
    text = page(inside, made.url)

    assert "It takes results" in text
    assert "prompt v2" in text
    assert "prompt v2" in page(inside, EXPERIMENTS + "?dataset=returns")
    cancelled = inside.post(made.url + "cancel/")
    assert cancelled.url == made.url
    assert "Cancelled" in page(inside, made.url)
    inside.post(made.url + "remove/")
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"dataset": "returns", "source": "endpoint", "connection": "", "model": "m"}, "connection"),
        ({"dataset": "returns", "source": "endpoint", "temperature": "hot"}, "temperature"),
        ({"dataset": "nobody", "source": "posted"}, "dataset"),
    ],
)
def test_what_cannot_be_run_is_told_at_its_field(inside, project, typed, words):
    fill(project)

    answer = inside.post(EXPERIMENTS + "new/", typed)

    assert answer.status_code == 400
    assert f'href="#f-{words}"' in answer.content.decode()


def test_the_comparison_says_first_what_is_proven(inside, project):
    fill(project, 40)
    old = experiment(project, lambda i: 1.0 if i < 38 else 0.0, 40)
    new = experiment(project, lambda i: 1.0 if i < 20 else 0.0, 40)
    same = experiment(project, lambda i: 1.0 if i < 37 else 0.0, 40)

    worse = page(inside, f"{EXPERIMENTS}{new}/?against={old}")
    better = page(inside, f"{EXPERIMENTS}{old}/?against={new}")
    nothing = page(inside, f"{EXPERIMENTS}{same}/?against={old}")

    assert "<h1>Proven worse on exact match</h1>" in worse
    assert "−45.0 points" in worse
    assert "0 up, 18 down, 22 the same" in worse
    assert "out 20 &lt;i&gt;" in worse
    assert "<h1>Proven better on exact match, worse on nothing</h1>" in better
    assert "<h1>No difference is proven on 1 measure</h1>" in nothing
    assert "Cannot tell" in nothing
    assert "differs from itself in nothing" in page(inside, f"{EXPERIMENTS}{new}/?against={new}")
    assert inside.get(f"{EXPERIMENTS}{new}/?against=999999").status_code == 404


def test_small_money_is_written_out():
    cost = Measure("cost_usd", "Cost", "own")

    assert [word_of(cost, value, signed=True) for value in (-2.13e-05, 0.0001, 0.0)] == [
        "−$0.0000213", "+$0.000100", "$0.00",
    ]  # fmt: skip


def test_figures_of_an_experiment_carry_interval_and_n(inside, project):
    fill(project, 40)
    made = experiment(project, lambda i: 1.0 if i < 30 else 0.0, 40)

    text = page(inside, f"{EXPERIMENTS}{made}/")

    assert "75.0%" in text or "75%" in text
    assert "95% CI 60" in text  # Wilson, 30 of 40: 59.8 % to 85.8 %
    assert "119 ms" in text  # the median by nearest rank: the 20th of 100..139 ms
    assert "$0.04" in text


@pytest.mark.parametrize(
    "path",
    [
        DATASETS, DATASETS + "returns/", DATASETS + "returns/diff/?old=0", DATASETS + "returns/item/k001/", EXPERIMENTS,
        EXPERIMENTS + "{new}/", EXPERIMENTS + "{new}/?against={old}", EXPERIMENTS + "new/",
    ],
)  # fmt: skip
def test_pages_ask_as_many_questions_however_much_there_is(inside, project, path):
    def queries():
        ids = Experiment.objects.order_by("pk").values_list("pk", flat=True)
        with CaptureQueriesContext(connection) as caught:
            page(inside, path.format(old=ids[0], new=ids[1]))
        return len(caught)

    fill(project, 2)
    for value in (0.0, 1.0):
        experiment(project, lambda i, value=value: value, 2)
    first = queries()
    fill(project, 60)
    fill(project, 3, "other")
    for value in (0.0, 1.0):
        experiment(project, lambda i, value=value: value, 60)

    assert queries() == first <= 16


def test_a_viewer_reads_and_is_offered_no_changes(project, bob, sign_in):
    fill(project)
    experiment(project, lambda i: 1.0)
    client = sign_in(bob)

    text = page(client, DATASETS + "returns/") + page(client, DATASETS) + page(client, EXPERIMENTS)

    assert "Add items" not in text
    assert "New dataset" not in text
    assert "New experiment" not in text
    assert client.post(DATASETS, {"name": "Mine"}).status_code == 403
    assert client.post(DATASETS + "returns/item/k001/", {"input": "x"}).status_code == 403


def test_a_whole_experiment_by_hand_ends_judged(inside, project, key, client):
    fill(project, 12)
    make_version(project, "rule", slug="short", config=LENGTH_RULE, rubric=YES_NO)
    made = inside.post(EXPERIMENTS + "new/", {"dataset": "returns", "source": "posted", "judge": "short"})
    number = made.url.rstrip("/").rpartition("/")[2]
    results = {"results": [{"item_key": f"k{i:03}", "output": "short"} for i in range(12)]}
    client.post(f"/api/v1/experiments/{number}/results", results, "application/json",
                headers={"Authorization": f"Bearer {key.secret}"})  # fmt: skip
    inside.post(made.url + "finish/")
    while work.run_next() is not None:
        pass

    assert "Being judged" in page(inside, made.url)
    assert sql("SELECT count(*) FROM evals_judgement WHERE target_kind = 4") == [(12,)]
