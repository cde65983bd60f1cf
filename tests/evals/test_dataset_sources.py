"""Items of datasets by REST from traces, lists of traces, reviews and files; whatever is sent is answered."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from evals import keeping
from evals.keeping import By
from evals.models import Review, ReviewItem, ReviewQueue, RubricVersion
from evals.read import datasets as read
from telltale.lib import clock
from tests.evals.judging_kit import make_version, store_traces

pytestmark = pytest.mark.django_db
BASE = "/api/v1/datasets/kept/"


@pytest.fixture
def kept(project):
    keeping.make_dataset(project, "Kept", by=By())
    return project


@pytest.fixture
def post(client, key, kept):
    def send(path, body, kind="application/json"):
        raw = body if isinstance(body, str | bytes) else json.dumps(body)
        return client.generic("POST", BASE + path, raw, kind, headers={"Authorization": f"Bearer {key.secret}"})

    return send


def items_of(project):
    row = read.get_dataset(project.pk, "kept")
    return read.all_items(row.id, row.version)


def test_traces_come_by_id_and_by_the_filter_of_their_list(post, kept):
    one, other = store_traces(kept, 2, feature="returns")
    store_traces(kept, 3, feature="help")

    by_id = post("add", {"trace_ids": [one.hex, "f" * 32], "keep_answer": True})
    by_filter = post("add", {"filter": "feature=returns", "note": "of returns"})

    assert by_id.status_code == by_filter.status_code == 200, (by_id.content, by_filter.content)
    assert (by_id.json()["added"], by_id.json()["left_out"]) == (1, 1)
    assert (by_filter.json()["added"], by_filter.json()["changed"]) == (1, 1)
    assert {item.trace_id for item in items_of(kept)} == {one, other}
    assert [row.note for row in read.list_versions(read.get_dataset(kept.pk, "kept").id)] == [
        "of returns", "from 1 trace",
    ]  # fmt: skip
    assert post("add", {"filter": "", "limit": 2}).json()["items"] >= 2


def test_reviews_bring_their_verdict_and_the_chance_they_were_drawn_with(post, kept, alice):
    good, bad = store_traces(kept, 2)
    make_version(kept, "rule")
    queue = ReviewQueue.objects.create(
        project=kept, slug="q", name="Q", kind="random", rubric_version=RubricVersion.objects.get()
    )
    for trace, verdict in ((good, "good"), (bad, "failure")):
        item = ReviewItem.objects.create(
            queue=queue, project=kept, trace_id=trace, reason="", started_at=clock.now(), wanted=1
        )
        Review.objects.create(
            project=kept, item=item, trace_id=trace, span_id=0, verdict=verdict, note="why", reviewer=alice,
            rubric_version=queue.rubric_version, pi_review=0.5, pi_judge=0.2,
        )  # fmt: skip

    answer = post("add", {"queue": "q", "verdict": "failure"})

    assert answer.status_code == 200, answer.content
    [item] = items_of(kept)
    assert (item.trace_id, item.origin, item.pi) == (bad, "review", pytest.approx(0.1))
    assert item.metadata["review"] == {"verdict": "failure", "note": "why", "reviewers": 1}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "trace_ids"),
        ({"trace_ids": [], "filter": ""}, "trace_ids"),
        ({"trace_ids": []}, "trace_ids"),
        ({"trace_ids": ["x"]}, "trace_ids[0]"),
        ({"trace_ids": ["0" * 32]}, "trace_ids"),
        ({"trace_ids": ["0" * 32] * 501}, "trace_ids"),
        ({"trace_ids": 7}, "trace_ids"),
        ({"trace_ids": [None]}, "trace_ids.0"),
        ({"filter": "feture=x"}, "filter"),
        ({"filter": "duration_ms.min=x"}, "duration_ms.min"),
        ({"filter": "from=2026-02-01&to=2026-01-01"}, "from"),
        ({"filter": "feature=none"}, "filter"),
        ({"filter": "a\x00b"}, "filter"),
        ({"filter": "x" * 5000}, "filter"),
        ({"filter": [], "limit": 1}, "filter"),
        ({"filter": "", "limit": 501}, "limit"),
        ({"queue": "nobody"}, "queue"),
        ({"queue": "a\x00"}, "queue"),
        ({"queue": "q", "verdict": "so-so"}, "verdict"),
        ({"trace_ids": ["0" * 32], "other": 1}, "other"),
    ],
)
def test_what_cannot_be_added_names_its_field(post, body, field):
    answer = post("add", body)

    assert answer.status_code == 400, answer.content
    assert field.partition(".")[0].partition("[")[0] in answer.json()["errors"][0]["field"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text/csv", "id,question,answer,lang\na,Open?,Nine,en\nb,Closed?,Six,de\n"),
        ("text/tab-separated-values", "id\tquestion\tanswer\tlang\na\tOpen?\tNine\ten\nb\tClosed?\tSix\tde\n"),
        ("application/x-ndjson", '{"id":"a","question":"Open?","answer":"Nine","lang":"en"}\n'
         '{"id":"b","question":"Closed?","answer":"Six","lang":"de"}\n'),
        ("application/json", '[{"id":"a","question":"Open?","answer":"Nine","lang":"en"},'
         '{"id":"b","question":"Closed?","answer":"Six","lang":"de"}]'),
    ],
)  # fmt: skip
def test_a_file_of_each_kind_is_brought_in(post, kept, kind, text):
    answer = post("import?note=first", text, kind)

    assert answer.status_code == 200, answer.content
    assert [(item.key, item.input, item.expected, item.metadata, item.origin) for item in items_of(kept)] == [
        ("a", "Open?", "Nine", {"lang": "en"}, "file"), ("b", "Closed?", "Six", {"lang": "de"}, "file"),
    ]  # fmt: skip
    assert post("import", text, kind).json()["same"] == 2


def test_columns_of_a_file_can_be_named(post, kept):
    assert post("import?input=q,context&expected=gold&key=n", "n,q,context,gold\n1,Why?,so,yes\n", "text/csv").json()[
        "added"
    ]
    [item] = items_of(kept)
    assert (item.key, item.input, item.expected) == ("1", {"q": "Why?", "context": "so"}, "yes")


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("text/csv", b" ", 400), ("text/csv", b"\xff\xfe", 400), ("text/csv", b"a,a\n1,2\n", 400),
        ("text/csv", b"question\n" + b'"' + b"x" * 100, 200), ("text/csv", b"question\n\x00\n", 200),
        ("application/json", b"{}", 400), ("application/json", b"[" * 5000, 400), ("application/json", b"[1]", 400),
        ("application/json", b" ", 400), ("application/x-ndjson", b"{\n", 400), ("image/png", b"x", 415),
        ("application/x-ndjson", b'{"question": "\\ud800"}', 400), ("text/plain", b"question\nx\n", 415),
        ("application/x-ndjson", b'{"question": {"a": 1e400}}', 400),
    ],
)  # fmt: skip
def test_a_hostile_file_is_answered(post, kind, body, status):
    answer = post("import", body, kind)

    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("application/")


def test_a_dataset_that_is_not_there_takes_nothing(client, key, kept):
    for path in ("add", "import"):
        answer = client.post(
            f"/api/v1/datasets/{uuid4().hex}/{path}", {"trace_ids": ["0" * 32]}, "application/json",
            headers={"Authorization": f"Bearer {key.secret}"},
        )  # fmt: skip
        assert answer.status_code == 404
