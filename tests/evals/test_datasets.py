"""Datasets: every change of items is a version, what a version held stays, files and exports say the same."""

from __future__ import annotations

import pytest

from evals import keeping
from evals.keeping import By, DatasetRefused, Mapping, NewItem
from evals.read import datasets as read
from telltale.audit.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def kept(project):
    """A dataset of three items at version 1."""
    keeping.make_dataset(project, "Returns", by=By(words="test"))
    items = [NewItem(f"k{n}", {"question": f"May I return {n}?"}, f"Yes, {n}.") for n in (1, 2, 3)]
    keeping.put_items(project, "returns", items, note="first", by=By(words="test"))
    return project


def dataset(project):
    return read.get_dataset(project.pk, "returns")


def contents(project, version):
    return {item.key: (item.input, item.expected) for item in read.all_items(dataset(project).id, version)}


def test_an_edit_makes_a_version_and_leaves_the_old_one_as_it_was(kept):
    before = contents(kept, 1)

    put = keeping.put_items(kept, "returns", [NewItem("k2", {"question": "And now?"}, "No.")], by=By(words="test"))

    assert (put.version, put.changed, put.added, put.items) == (2, 1, 0, 3)
    assert contents(kept, 1) == before
    assert contents(kept, 2) == before | {"k2": ({"question": "And now?"}, "No.")}
    history = read.item_history(dataset(kept).id, "k2")
    assert [(row.from_version, row.to_version) for row in history] == [(2, None), (1, 2)]


def test_the_same_items_again_make_no_version(kept):
    again = [NewItem("k1", {"question": "May I return 1?"}, "Yes, 1.")]

    put = keeping.put_items(kept, "returns", again, by=By(words="test"))

    assert (put.version, put.same, put.is_change) == (1, 1, False)
    assert len(read.list_versions(dataset(kept).id)) == 1


@pytest.mark.parametrize(("old", "new"), [(1, True), (0, False), (1, 1.5), ("1", 1), (None, "")])
def test_values_that_look_alike_are_not_the_same(kept, old, new):
    first = keeping.put_items(kept, "returns", [NewItem("x", "q", old)], by=By())

    second = keeping.put_items(kept, "returns", [NewItem("x", "q", new)], by=By())

    assert (first.added, second.changed) == (1, 1)
    assert [change.kind for change in read.diff(dataset(kept).id, 2, 3)] == ["changed"]


def test_removed_items_stay_in_the_versions_before(kept):
    put = keeping.remove_items(kept, "returns", ["k1", "nobody"], by=By(words="test"))

    assert (put.version, put.removed, put.items) == (2, 1, 2)
    assert set(contents(kept, 2)) == {"k2", "k3"}
    assert set(contents(kept, 1)) == {"k1", "k2", "k3"}


def test_a_difference_names_what_came_went_and_changed(kept):
    keeping.put_items(kept, "returns", [NewItem("k2", "other"), NewItem("k4", "new")], by=By())
    keeping.remove_items(kept, "returns", ["k1"], by=By())
    keeping.put_items(kept, "returns", [NewItem("k3", "away")], by=By())
    keeping.put_items(kept, "returns", [NewItem("k3", {"question": "May I return 3?"}, "Yes, 3.")], by=By())

    changes = read.diff(dataset(kept).id, 1, 5)

    assert [(change.key, change.kind) for change in changes] == [("k1", "removed"), ("k2", "changed"), ("k4", "added")]
    assert [(change.key, change.kind) for change in read.diff(dataset(kept).id, 5, 1)] == [
        ("k1", "added"), ("k2", "changed"), ("k4", "removed"),
    ]  # fmt: skip


def test_an_item_keeps_its_origin_when_it_is_edited(kept):
    from uuid import uuid4

    trace = uuid4()
    keeping.put_items(kept, "returns", [NewItem("t", "q", origin="trace", trace_id=trace, pi=0.05)], by=By())

    keeping.put_items(kept, "returns", [NewItem("t", "q", "better", origin="api")], by=By())

    item = read.get_item(dataset(kept).id, 3, "t")
    assert (item.origin, item.trace_id, item.pi, item.expected) == ("trace", trace, 0.05, "better")


def test_items_without_a_key_are_themselves_when_sent_again(kept):
    item = [NewItem("", {"b": 1, "a": 2})]

    first = keeping.put_items(kept, "returns", item, by=By())
    second = keeping.put_items(kept, "returns", [NewItem("", {"a": 2, "b": 1})], by=By())

    assert (first.added, second.added, second.same) == (1, 0, 1)


@pytest.mark.parametrize(
    ("item", "field"),
    [
        (NewItem("k", None), "items[0].input"),
        (NewItem("k", ""), "items[0].input"),
        (NewItem("k", "x" * 300_000), "items[0]"),
        (NewItem("k" * 101, "x"), "items[0].key"),
        (NewItem("a/b", "x"), "items[0].key"),
        (NewItem("a\nb", "x"), "items[0].key"),
        (NewItem("k", "x", pi=0.0), "items[0].pi"),
        (NewItem("k", "x", metadata=[1]), "items[0].metadata"),
    ],
)
def test_what_cannot_be_kept_names_its_field(kept, item, field):
    with pytest.raises(DatasetRefused) as refused:
        keeping.put_items(kept, "returns", [item], by=By())

    assert refused.value.field == field
    assert dataset(kept).version == 1


def test_two_items_of_one_key_are_refused_together(kept):
    with pytest.raises(DatasetRefused, match="is there twice"):
        keeping.put_items(kept, "returns", [NewItem("a", "1"), NewItem("a", "2")], by=By())

    assert dataset(kept).version == 1


def test_what_postgresql_cannot_hold_is_replaced(kept):
    keeping.put_items(kept, "returns", [NewItem("n", {"q": "a\x00b", "\x00": ["\ud800"]})], by=By())

    assert read.get_item(dataset(kept).id, 2, "n").input == {"q": "a\ufffdb", "\ufffd": ["\ufffd"]}


def test_a_change_is_in_the_audit_log(kept):
    entries = list(AuditEntry.objects.filter(action__startswith="dataset.").order_by("pk"))

    assert [(entry.action, entry.target) for entry in entries] == [
        ("dataset.add", "dataset returns"), ("dataset.items", "dataset returns"),
    ]  # fmt: skip
    assert entries[1].after == {"version": 1, "added": 3, "changed": 0, "note": "first"}


FILES = {
    "csv": b'\xef\xbb\xbfid,question,answer,topic\r\n1,May I?,Yes,returns\r\n2,"When,\nexactly?",Now,time\r\n',
    "json": b'[{"id": 1, "question": "May I?", "answer": "Yes", "topic": "returns"},'
    b' {"id": 2, "question": "When,\\nexactly?", "answer": "Now", "topic": "time"}]',
    "ndjson": b'{"id": "1", "question": "May I?", "answer": "Yes", "topic": "returns"}\n\n'
    b'{"id": "2", "question": "When,\\nexactly?", "answer": "Now", "topic": "time"}\n',
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_of_each_kind_gives_the_same_items(kind):
    items = keeping.read_file(kind, FILES[kind], Mapping())

    told = [(item.key, item.input.replace("\r\n", "\n"), item.expected, item.metadata) for item in items]
    assert told == [
        ("1", "May I?", "Yes", {"topic": "returns"}), ("2", "When,\nexactly?", "Now", {"topic": "time"}),
    ]  # fmt: skip
    assert keeping.kind_of(f"x.{kind}", b"") == keeping.kind_of("", FILES[kind]) == kind


def test_a_mapping_says_which_columns_are_what():
    mapping = Mapping(("question", "topic"), "id", "answer", ())

    [first, _] = keeping.read_file("csv", FILES["csv"], mapping, "faq.csv")

    assert (first.key, first.input, first.expected) == ("Yes", {"question": "May I?", "topic": "returns"}, "1")
    assert (first.metadata, first.origin, first.ref) == ({}, "file", "faq.csv row 1")


@pytest.mark.parametrize(
    ("kind", "data", "mapping", "field"),
    [
        ("csv", b"", Mapping(), "file"),
        ("csv", b"a,b\n1,2\n", Mapping(), "input"),
        ("csv", b"input\nx,y\n", Mapping(), "row 1"),
        ("csv", b"input,input\nx,y\n", Mapping(), "file"),
        ("csv", b"input\nx\n", Mapping(expected="gone"), "expected"),
        ("csv", b"question,input\nx,\n", Mapping(("input",)), "row 1"),
        ("csv", b"\xff\xfe", Mapping(), "file"),
        ("json", b"{", Mapping(), "file"),
        ("json", b"3", Mapping(), "file"),
        ("json", b"[3]", Mapping(), "row 1"),
        ("ndjson", b'{"input": "x"}\n{', Mapping(), "line 2"),
        ("xlsx", b"", Mapping(), "kind"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(kind, data, mapping, field):
    with pytest.raises(DatasetRefused) as refused:
        keeping.read_file(kind, data, mapping)

    assert refused.value.field == field


def headers(key):
    return {"Authorization": f"Bearer {key.secret}"}


def post(client, path, body, key):
    return client.post(path, body, "application/json", headers=headers(key))


def test_a_dataset_is_made_filled_changed_and_read_by_rest(client, key):
    made = post(client, "/api/v1/datasets", {"name": "Refund cases", "description": "x"}, key)
    items = {"items": [{"key": "a", "input": "Q1", "expected": "A1"}, {"input": {"question": "Q2"}}], "note": "one"}
    first = post(client, "/api/v1/datasets/refund-cases/items", items, key)
    again = post(client, "/api/v1/datasets/refund-cases/items", items, key)
    edited = {"items": [{"key": "a", "input": "Q1", "expected": "A2", "inclusion_probability": 0.1}]}
    second = post(client, "/api/v1/datasets/refund-cases/items", edited, key)

    assert (made.status_code, made.json()["slug"]) == (201, "refund-cases")
    assert first.json() == {
        "version": 1, "items": 2, "added": 2, "changed": 0, "removed": 0, "same": 0, "erased": 0,
    }  # fmt: skip
    assert (again.json()["version"], again.json()["same"]) == (1, 2)
    assert second.json()["version"] == 2
    base = "/api/v1/datasets/refund-cases"
    old = client.get(f"{base}/items?version=1", headers=headers(key)).json()
    new = client.get(f"{base}/items?q=a2", headers=headers(key)).json()
    assert [item["expected"] for item in old["items"] if item["key"] == "a"] == ["A1"]
    assert [item["expected"] for item in new["items"]] == ["A2"]
    [change] = client.get(f"{base}/diff", headers=headers(key)).json()["items"]
    assert (change["kind"], change["old"]["expected"], change["new"]["expected"]) == ("changed", "A1", "A2")
    versions = client.get(f"{base}/versions", headers=headers(key)).json()["items"]
    assert [(version["number"], version["items"], version["note"]) for version in versions] == [
        (2, 2, ""), (1, 2, "one"),
    ]  # fmt: skip
    gone = client.delete(f"{base}/items", {"keys": ["a"]}, "application/json", headers=headers(key))
    assert gone.json()["removed"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"items": []}, "items"),
        ({"items": [{"key": "a"}]}, "items.0.input"),
        ({"items": [{"input": "x", "trace_id": "zz"}]}, "items[0].trace_id"),
        ({"items": [{"input": "x", "inclusion_probability": 2}]}, "items[0].pi"),
        ({"items": [{"input": "x"}] * 501}, "items"),
        ({"items": [{"input": "x"}], "more": 1}, "more"),
    ],
)
def test_bad_items_are_named_by_rest(client, kept, key, body, field):
    answer = post(client, "/api/v1/datasets/returns/items", body, key)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_pages_of_items_cover_a_version_once(client, kept, key):
    seen, after = [], ""
    for _ in range(3):
        page = client.get(f"/api/v1/datasets/returns/items?limit=2&after={after}", headers=headers(key)).json()
        seen += [item["key"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break

    assert seen == ["k1", "k2", "k3"]
