"""Labels from elsewhere: a thousand items in one request, each row judged alone, sent again without harm; and out."""

from __future__ import annotations

import csv
import io

import orjson
import pytest
from django.db import connection
from django.test import Client

from evals.models import Judge, JudgeVersion, Review, Rubric
from evals.read.pairs import load_pairs
from evals.reviewing.label_rows import ROWS_MAX
from evals.rubrics import parse_rubric
from telltale.audit.models import AuditEntry
from tests.evals.review_rows import SPEC, make_judge, make_rubric, member, send_traces

pytestmark = pytest.mark.django_db
IMPORT = "/api/v1/labels/import"
EXPORT = "/api/v1/labels/export"


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


def send(client, items, **more):
    return client.post(IMPORT, {"items": items} | more, content_type="application/json")


def count(table):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return cursor.fetchone()[0]


def thousand(n=1000):
    """`n` items of a team's own, each with three reviewers and two judges."""
    people = [{"reviewer": name, "scores": {"quality": 1 + (len(name) + at) % 5}} for at, name in enumerate("abc")]
    judges = [{"judge": name, "scores": {"quality": {"value": 1 + at, "reason": "Because."}}} for at, name in
              enumerate(("first", "second"))]  # fmt: skip
    return [
        {"trace_id": f"item-{at}", "pi_judge": 0.5, "pi_review": 0.1, "reviews": people, "judgements": judges}
        for at in range(n)
    ]


def test_a_thousand_items_with_three_reviewers_and_two_judges_come_in_one_request(api, project):
    answer = send(api, thousand())

    assert answer.status_code == 200, answer.content[:500]
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (5000, 0)
    assert told["reviews"] == {"created": 3000, "updated": 0, "unchanged": 0}
    assert told["judgements"] == {"created": 2000, "updated": 0, "unchanged": 0}
    assert told["unknown_targets"] == 1000
    assert [(each["slug"], each["version"], each["is_new"]) for each in told["judges"]] == [
        ("first", 1, True), ("second", 1, True),
    ]  # fmt: skip
    assert told["rubrics"] == [{"slug": "imported", "version": 1, "is_new": True}]
    assert (count("evals_score"), count("evals_judgement"), Review.objects.count()) == (5000, 2000, 3000)


def test_what_came_in_is_paired_for_calibration(api, project):
    send(api, thousand(50))

    version = JudgeVersion.objects.get(judge__slug="first")
    criterion = parse_rubric(version.rubric_version.spec).criteria[0]
    pairs = load_pairs(project.pk, version.pk, criterion)

    assert len(pairs.judged) == 50
    assert {len(pair.ratings) for pair in pairs.judged} == {3}
    assert {pair.pi for pair in pairs.judged} == {0.05}


def test_the_same_request_again_changes_nothing(api, project):
    first = send(api, thousand(20)).json()
    scores = count("evals_score")

    again = send(api, thousand(20)).json()

    assert first["reviews"] == {"created": 60, "updated": 0, "unchanged": 0}
    assert again["reviews"] == {"created": 0, "updated": 60, "unchanged": 0}
    assert again["judgements"] == {"created": 0, "updated": 40, "unchanged": 0}
    assert again["judges"][0]["is_new"] is False
    assert (count("evals_score"), count("evals_judgement"), Review.objects.count()) == (scores, 40, 60)
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(n) FROM evals_judgement_hour")
        assert cursor.fetchone()[0] == 40


def test_an_id_sent_again_replaces_what_it_said(api, project):
    row = {"id": "r-1", "trace_id": "item-1", "reviewer": "anna", "scores": {"quality": 2, "tone": 4}, "note": "Poor"}
    send(api, [row])

    send(api, [row | {"scores": {"quality": 5}, "note": "Better", "verdict": "good"}])

    review = Review.objects.get()
    assert (review.verdict, review.note) == ("good", "Better")
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, number FROM evals_score")
        assert cursor.fetchall() == [("quality", 5.0)]


def test_every_row_is_judged_alone(api, project):
    make_rubric(project)
    good = {"trace_id": "item-1", "reviewer": "anna", "scores": {"tone": 3}}
    rows = [
        good,
        good | {"trace_id": ""},
        good | {"trace_id": "item-5", "scores": {"tone": 9}},
        good | {"trace_id": "item-6", "scores": {"beauty": 1}},
        good | {"judge": "first"},
        good | {"pi_review": 0},
        good | {"verdict": "superb"},
        good | {"span_id": "zz"},
        good | {"note": "x" * 4001},
        good | {"at": "yesterday"},
        good | {"colour": 1},
        {"trace_id": "item-2", "judge": "Bad Name!", "scores": {"tone": 1}},
        "nothing",
        {"trace_id": "item-3", "reviewer": "ben"},
        good | {"id": "x" * 201},
        {"trace_id": "i", "reviewer": "a\u0000b", "scores": {"tone": 1}},
    ]

    told = send(api, rows, rubric="answer-quality").json()

    assert (told["accepted"], told["rejected"]) == (1, 15)
    fields = [each["errors"][0]["field"].split(".", 1)[1] for each in told["items"]]
    assert [each["index"] for each in told["items"]] == list(range(1, 16))
    assert fields == [
        "trace_id", "scores.tone", "scores.beauty", "reviewer", "pi_review", "verdict", "span_id", "note", "at",
        "colour", "judge", "row", "scores", "id", "reviewer",
    ]  # fmt: skip
    assert told["items"][1]["errors"][0]["limit"] == "1, 2, 3, 4, 5"
    assert Review.objects.count() == 1


def test_where_no_row_can_be_taken_the_answer_is_400(api, project):
    answer = send(api, [{"trace_id": "item-1"}])

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "items[0].reviewer"
    assert Rubric.objects.count() == 0


def test_a_dry_run_keeps_nothing(api, project):
    told = send(api, thousand(3), dry_run=True).json()

    assert (told["accepted"], told["is_dry_run"]) == (15, True)
    assert (Review.objects.count(), Judge.objects.count(), Rubric.objects.count()) == (0, 0, 0)
    assert AuditEntry.objects.count() == 0


def test_labels_land_on_the_traces_they_name(api, project):
    trace_id = send_traces(project, 1, session="s-1")[0]

    told = send(api, [{"trace_id": trace_id.hex, "reviewer": "anna", "scores": {"quality": 2}}]).json()

    assert told["unknown_targets"] == 0
    score = api.get(f"/api/v1/scores?trace_id={trace_id.hex}").json()["items"][0]
    assert (score["source"], score["author"], score["value"]) == ("person", "anna", 2.0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_id FROM evals_score")
        assert cursor.fetchone()[0] == "s-1"


def test_a_members_email_is_that_member(api, project):
    rita = member(project, "rita")

    send(api, [{"trace_id": "i", "reviewer": "Rita@example.com", "scores": {"quality": 2}}])
    send(api, [{"trace_id": "i", "reviewer": "stranger@example.com", "scores": {"quality": 2}}])

    assert set(Review.objects.values_list("reviewer", flat=True)) == {rita.pk, None}


def test_a_judge_that_judges_here_takes_no_scores_from_elsewhere(api, project):
    make_judge(project, make_rubric(project))

    answer = send(api, [{"trace_id": "i", "judge": "quality", "scores": {"tone": 2}}])

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "items[0].judge"


def test_two_versions_of_a_judge_stand_apart(api, project):
    make_rubric(project)
    rows = [
        {"trace_id": "i", "judge": "mine", "judge_version": n, "model": f"model-{n}", "scores": {"tone": n}}
        for n in (1, 2)
    ]

    told = send(api, rows, rubric="answer-quality").json()

    assert told["rejected"] == 0, told
    assert [(each["slug"], each["version"]) for each in told["judges"]] == [("mine", 1), ("mine", 2)]
    assert list(JudgeVersion.objects.order_by("number").values_list("model", flat=True)) == ["model-1", "model-2"]


def test_flags_follow_the_rubric_or_what_is_said(api, project):
    spec = {"criteria": [dict(SPEC["criteria"][0], flag_at_most=2)], "name": "Flagging"}
    rows = [
        {"trace_id": "a", "judge": "mine", "scores": {"correctness": 2}},
        {"trace_id": "b", "judge": "mine", "scores": {"correctness": 4}},
        {"trace_id": "c", "judge": "mine", "scores": {"correctness": 4}, "is_flagged": True},
    ]

    assert send(api, rows, rubric=spec).json()["rubrics"] == [{"slug": "flagging", "version": 1, "is_new": True}]

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FILTER (WHERE is_flagged), count(*) FROM evals_judgement")
        assert cursor.fetchone() == (2, 3)


def test_scales_are_told_from_the_values(api, project):
    rows = [
        {"trace_id": f"i{at}", "reviewer": "anna", "scores": {"ok": at % 2 == 0, "level": at, "kind": f"kind {at % 3}"}}
        for at in range(10)
    ]

    assert send(api, rows).json()["rejected"] == 0

    spec = Rubric.objects.get().versions.get().spec
    scales = {each["key"]: each["scale"] for each in spec["criteria"]}
    assert scales["ok"]["kind"] == "boolean"
    assert (scales["level"]["low"], scales["level"]["high"]) == (0, 10)
    assert scales["kind"]["labels"] == ["kind 0", "kind 1", "kind 2"]


def test_a_csv_with_a_column_for_each_criterion(api, project):
    text = "id,trace_id,reviewer,judge,score.tone,score.safe,note\n"
    text += "1,item-1,anna,,4,yes,'=1+1\n2,item-1,ben,,5,no,\n3,item-1,,mine,2,yes,\n"

    answer = api.post(IMPORT + "?rubric=answer-quality", text, content_type="text/csv; charset=utf-8")
    assert answer.status_code == 400  # there is no such rubric yet
    make_rubric(project)
    told = api.post(IMPORT + "?rubric=answer-quality", text, content_type="text/csv; charset=utf-8").json()

    assert (told["accepted"], told["rejected"]) == (3, 0)
    assert Review.objects.get(reviewer_name="anna").note == "=1+1"
    assert count("evals_score") == 6


def test_a_csv_with_a_row_for_each_score(api, project):
    make_rubric(project)
    text = "trace_id,reviewer,name,value,reason\nitem-1,anna,tone,4,Kind\nitem-1,anna,correctness,2,Wrong\n"

    told = api.post(IMPORT + "?rubric=answer-quality", text, content_type="text/csv").json()

    assert told["reviews"] == {"created": 1, "updated": 0, "unchanged": 0}
    assert count("evals_score") == 2


def test_ndjson(api, project):
    lines = b"\n".join(orjson.dumps(row) for row in thousand(5)) + b"\n\n"

    told = api.post(IMPORT, lines, content_type="application/x-ndjson").json()

    assert told["accepted"] == 25


@pytest.mark.parametrize(
    ("body", "kind", "field"),
    [
        (b"{", "application/json", None),
        (b"[]", "application/json", "items"),
        (b'{"items": 3}', "application/json", "items"),
        (b'{"items": [], "colour": 1}', "application/json", "colour"),
        (b'{"items": [{"trace_id": "i", "reviewer": "a", "verdict": "good"}], "rubric": 3}', "application/json",
         "rubric"),
        (b"\n{", "application/x-ndjson", "line 2"),
        (b"\n", "text/csv", "body"),
        (b"trace_id,colour\n1,2\n", "text/csv", "colour"),
        (b"trace_id,reviewer\n1,2,3\n", "text/csv", "line 2"),
        (b'trace_id,reviewer\n"1,2\n', "text/csv", "line 2"),
        (b"\xff\xfe", "text/csv", "body"),
        (b"trace_id\x00\n", "text/csv", "body"),
    ],
)  # fmt: skip
def test_a_body_that_cannot_be_read_says_where(api, project, body, kind, field):
    answer = api.post(IMPORT, body, content_type=kind)

    assert answer.status_code == 400
    if field is not None:
        assert answer.json()["errors"][0]["field"] == field


def test_too_many_rows_are_refused_as_a_whole(api, project):
    rows = b"\n".join([b'{"trace_id":"i","reviewer":"a","verdict":"good"}'] * (ROWS_MAX + 1))

    answer = api.post(IMPORT, rows, content_type="application/x-ndjson")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["limit"] == "20,000 rows in a request; send it in parts"
    assert Review.objects.count() == 0


def test_what_went_in_comes_out_and_in_again(api, project):
    make_rubric(project)
    rows = [
        {"id": "r-1", "trace_id": "item-1", "reviewer": "anna", "verdict": "failure", "note": "=HYPERLINK(1)",
         "scores": {"tone": 4, "safe": False}},
        {"trace_id": "item-1", "judge": "mine", "scores": {"tone": 2, "safe": True}, "pi_judge": 0.25},
    ]  # fmt: skip
    send(api, rows, rubric="answer-quality")

    raw = b"".join(api.get(EXPORT + "?format=csv").streaming_content).decode()
    lines = list(csv.DictReader(io.StringIO(raw)))
    assert [(line["reviewer"], line["judge"], line["score.tone"], line["score.safe"]) for line in lines] == [
        ("anna", "", "4", "false"), ("", "mine", "2", "true"),
    ]  # fmt: skip
    assert lines[0]["note"] == "'=HYPERLINK(1)"
    assert lines[1]["pi_judge"] == "0.25"

    told = api.post(IMPORT, raw.encode(), content_type="text/csv").json()
    assert told["reviews"] == told["judgements"] == {"created": 0, "updated": 1, "unchanged": 0}
    assert Review.objects.get().note == "=HYPERLINK(1)"
    ndjson = b"".join(api.get(EXPORT + "?format=ndjson&by=people").streaming_content).splitlines()
    assert [orjson.loads(line)["score.tone"] for line in ndjson] == [4]


def test_the_export_reads_in_pieces(api, project, monkeypatch):
    from evals.reviewing import exporting

    monkeypatch.setattr(exporting, "PIECE", 7)
    send(api, thousand(10))

    lines = b"".join(api.get(EXPORT + "?format=ndjson").streaming_content).splitlines()

    assert len(lines) == 50
    assert len({orjson.loads(line)["id"] for line in lines}) == 50


@pytest.mark.parametrize(
    "query", ["", "?format=xml", "?format=csv&by=nobody", "?format=csv&queue=no", "?format=csv&judge=no"]
)
def test_an_export_of_nothing_there_is_refused(api, project, query):
    assert api.get(EXPORT + query).status_code == 400


def test_importing_is_audited_and_needs_an_engineer(api, project, sign_in):
    send(api, thousand(1))
    entry = AuditEntry.objects.get(action="labels.import")
    assert (entry.actor[:4], entry.after) == ("key ", {"reviews": 3, "judgements": 2, "rejected": 0})

    reviewer = sign_in(member(project, "rita"))
    answer = reviewer.post(IMPORT + "?project=shop", {"items": thousand(1)}, content_type="application/json")
    assert answer.status_code == 403
