"""Files of labels: bad lines among good ones, packed and chunked bodies, bombs; an export that comes back in."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import threading
import tracemalloc
from urllib.parse import urlsplit

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evals.api import labels
from evals.models import Review, ReviewItem, RubricVersion
from evals.reviewing.filling import add_by_hand
from evals.reviewing.handing import keys_of
from evals.reviewing.import_names import By
from evals.reviewing.importing import bring_in
from evals.reviewing.label_files import read_json
from evals.reviewing.people import reviewer_of
from evals.reviewing.verdicts import Given, save_verdict
from telltale.projects import keys
from telltale.projects.access import get_project_for
from tests.evals.review_rows import SPEC, judged, make_judge, make_queue, make_rubric, send_traces

pytestmark = pytest.mark.django_db
IMPORT = "/api/v1/labels/import"
EXPORT = "/api/v1/labels/export"


@pytest.fixture
def api(key):
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


def body_of(api, query="format=csv"):
    return b"".join(api.get(f"{EXPORT}?{query}").streaming_content)


def everything():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name, source, trace_id, number, label, comment, evidence, author, rubric_version_id, review_id,"
            " judgement_id FROM evals_score ORDER BY score_id"
        )
        return cursor.fetchall()


def test_bad_lines_of_a_csv_are_named_and_the_others_kept(api, project):
    make_rubric(project)
    text = (
        "trace_id,reviewer,score.tone,note\n"
        "item-1,anna,4,fine\n"
        "item-2,anna,9,off the scale\n"
        "\n"
        'item-3,anna,3,"two\nlines"\n'
        "item-4,anna,2,too,many\n"
        'item-5,anna,5,"a "quote" inside"\n'
        "item-6,,5,\n"
        "item-7,anna,,no score\n"
        "item-8,ben,1,last\n"
    )

    told = api.post(f"{IMPORT}?rubric=answer-quality", text, content_type="text/csv").json()

    assert (told["accepted"], told["rejected"]) == (3, 5)
    assert [(each["line"], each["errors"][0]["field"]) for each in told["items"]] == [
        (3, "line 3: scores.tone"), (7, "line 7"), (8, "line 8"), (9, "line 9: reviewer"), (10, "line 10: scores"),
    ]  # fmt: skip
    assert told["items"][0]["errors"][0]["limit"] == "1, 2, 3, 4, 5"
    assert told["items"][1]["errors"][0]["message"] == "has 5 cells under 4 columns"
    assert sorted(Review.objects.values_list("note", flat=True)) == ["fine", "last", "two\nlines"]


def test_a_quote_that_is_never_closed_costs_only_what_it_swallows(api, project):
    make_rubric(project)
    text = 'trace_id,reviewer,score.tone,note\nitem-1,anna,4,fine\nitem-2,anna,4,"open\nitem-3,anna,4,lost\n'

    told = api.post(f"{IMPORT}?rubric=answer-quality", text, content_type="text/csv").json()

    assert (told["accepted"], told["rejected"]) == (1, 1)
    assert told["items"][0]["errors"] == [{"field": "line 3", "message": "has a quote that is never closed"}]


def test_bad_lines_of_ndjson_are_named_and_the_others_kept(api, project):
    make_rubric(project)
    good = b'{"trace_id":"item-1","reviewer":"anna","scores":{"tone":4}}'
    lines = [
        good, b"{", b"", b"[1]", b'"text"', b"null", b'{"__fault__": 5}', b'{"trace_id": "i", "reviews": 3}',
        b'{"trace_id": "i", "colour": 1, "reviews": []}',
        b'{"trace_id": "item-2", "reviews": [{"reviewer": "ben", "scores": {"tone": 2}}, {"reviewer": "x"}, 7]}', good,
    ]  # fmt: skip

    told = api.post(
        f"{IMPORT}?rubric=answer-quality", b"\r\n".join(lines), content_type="application/x-ndjson"
    ).json()  # fmt: skip

    assert (told["accepted"], told["rejected"]) == (3, 9)
    assert [(each["line"], each["errors"][0]["field"]) for each in told["items"]] == [
        (2, "line 2"), (4, "line 4"), (5, "line 5"), (6, "line 6"), (7, "line 7: __fault__"), (8, "line 8: reviews"),
        (9, "line 9: colour"), (10, "line 10: scores"), (10, "line 10"),
    ]  # fmt: skip
    assert sorted(Review.objects.values_list("reviewer_name", flat=True)) == ["anna", "ben"]


@pytest.mark.parametrize("header", ["trace_id,trace_id,reviewer", " , ,", "trace_id,Reviewer"])
def test_a_header_that_cannot_be_meant_is_refused(api, project, header):
    answer = api.post(IMPORT, f"{header}\n1,2,3\n", content_type="text/csv")

    assert answer.status_code == 400
    assert Review.objects.count() == 0


def test_one_trace_has_one_name_however_it_is_written(api, project):
    row = {"reviewer": "Anna@Example.com", "scores": {"tone": 4}}
    names = ["AABBCCDDEEFF00112233445566778899", "aabbccdd-eeff-0011-2233-445566778899"]

    for name in names:
        assert api.post(IMPORT, [row | {"trace_id": name}], content_type="application/json").status_code == 200
    row["reviewer"] = "anna@example.com"
    told = api.post(IMPORT, [row | {"trace_id": names[0].lower()}], content_type="application/json").json()

    assert told["reviews"] == {"created": 0, "updated": 1, "unchanged": 0}


def test_what_was_reviewed_and_judged_here_comes_back_unchanged(api, project, alice):
    version = make_judge(project, make_rubric(project))
    version.rubric_version = RubricVersion.objects.get()
    queue = make_queue(project)
    reviewer = reviewer_of(get_project_for(alice, "shop"), alice)
    for n, trace_id in enumerate(send_traces(project, 3)):
        judged(project, version, trace_id, {"correctness": 2, "tone": 5}, evidence=["within 60 days"])
        add_by_hand(project, queue, trace_id, 0, "Alice")
        given = Given("failure", {"correctness": 1, "tone": 4}, note=f"=note {n}")
        save_verdict(queue, ReviewItem.objects.last().pk, reviewer, keys_of("a", "here"), given)
    before = everything()

    for kind, content in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        told = api.post(IMPORT, body_of(api, f"format={kind}"), content_type=content).json()
        assert (told["accepted"], told["rejected"]) == (6, 0)
        assert told["reviews"] == told["judgements"] == {"created": 0, "updated": 0, "unchanged": 3}
        assert told["judges"] == told["rubrics"] == []

    assert everything() == before
    assert Review.objects.count() == 3


def test_an_id_of_ours_with_another_content_is_no_review_of_ours(api, project, alice):
    make_rubric(project)
    queue = make_queue(project)
    trace_id = send_traces(project, 1)[0]
    add_by_hand(project, queue, trace_id, 0, "Alice")
    reviewer = reviewer_of(get_project_for(alice, "shop"), alice)
    save_verdict(queue, ReviewItem.objects.get().pk, reviewer, keys_of("a", "here"), Given("good", {"tone": 4}))
    row = {"id": f"review {Review.objects.get().pk}", "trace_id": trace_id.hex, "reviewer": "anna",
           "scores": {"tone": 1}, "rubric": "answer-quality"}  # fmt: skip

    told = api.post(IMPORT, [row], content_type="application/json").json()

    assert told["reviews"] == {"created": 1, "updated": 0, "unchanged": 0}
    assert sorted(Review.objects.values_list("reviewer_name", flat=True)) == ["alice@example.com", "anna"]


def test_a_file_keeps_versions_reasons_and_quotes(api, project):
    make_rubric(project)
    told = {"tone": {"value": 2, "reason": "=Curt", "evidence": ["No."]}}
    rows = [
        {"trace_id": "item-1", "reviewer": "anna", "scores": {"tone": 4}, "at": "2026-03-01T10:00:00Z"},
        {"trace_id": "item-1", "judge": "mine", "judge_version": 3, "model": "m", "scores": told, "pi_judge": 0.25},
    ]
    assert api.post(f"{IMPORT}?rubric=answer-quality", rows, content_type="application/json").status_code == 200
    first = everything()
    make_rubric(project, spec={"criteria": SPEC["criteria"][:2]})
    assert RubricVersion.objects.count() == 2

    raw = body_of(api)
    (person, judge) = csv.DictReader(io.StringIO(raw.decode()))
    assert (person["rubric_version"], judge["reason.tone"]) == ("1", "'=Curt")
    again = api.post(IMPORT, raw, content_type="text/csv").json()

    assert again["reviews"] == again["judgements"] == {"created": 0, "updated": 1, "unchanged": 0}
    assert [row[:-2] for row in everything()] == [row[:-2] for row in first]
    edited = raw.replace(b"'=Curt", b"Short").replace(b",2,", b",1,")
    api.post(IMPORT, edited, content_type="text/csv")
    assert [row[5:7] for row in everything() if row[1] == 1] == [("Short", None)]


def test_a_version_of_a_rubric_that_is_not_there_is_named(api, project):
    make_rubric(project)
    row = {"trace_id": "i", "reviewer": "anna", "rubric": "answer-quality", "scores": {"tone": 4}}

    told = api.post(IMPORT, [row, row | {"id": "2", "rubric_version": 9}], content_type="application/json").json()

    assert told["items"][0]["errors"][0]["field"] == "items[1].rubric_version"
    assert told["items"][0]["errors"][0]["limit"] == "1"


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"[" + b"{}," * 1_000_001 + b"{}]", "application/json"),
        (b"[" * 1_000_001, "application/json"),
        (b"[" + b"1," * 4_000_001 + b"1]", "application/json"),
        (b"\n" * 2_000_001, "application/x-ndjson"),
        (b"trace_id\n" + b"\n" * 2_000_001, "text/csv"),
    ],
)
def test_a_bomb_of_values_is_refused_before_it_unfolds(api, project, raw, kind):
    tracemalloc.start()
    try:
        answer = api.post(IMPORT, gzip.compress(raw, 1), content_type=kind, headers={"Content-Encoding": "gzip"})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "body"
    assert peak < 4 * len(raw) + 8_000_000


@pytest.mark.parametrize(
    ("raw", "encoding", "status"),
    [
        pytest.param(gzip.compress(b" " * (labels.BODY_MAX_BYTES + 1)), "gzip", 413, id="too large once unpacked"),
        (b"x" * (labels.BODY_MAX_BYTES + 1), "", 413),
        pytest.param(gzip.compress(b"[]")[:-9], "gzip", 400, id="gzip cut short"),
        (b"[]", "gzip", 400),
        (b"[]", "br", 415),
    ],
)
def test_a_body_that_is_too_large_or_cannot_be_unpacked(api, project, raw, encoding, status):
    answer = api.post(IMPORT, raw, content_type="application/json", headers={"Content-Encoding": encoding})

    assert answer.status_code == status
    assert answer["Content-Type"] == "application/problem+json"


def test_another_type_is_refused_and_a_second_large_one_waits(api, project, monkeypatch):
    assert api.post(IMPORT, b"a", content_type="application/xml").status_code == 415
    monkeypatch.setattr(labels, "LARGE_BYTES", 1)

    with labels._large:
        answer = api.post(IMPORT, b"[]", content_type="application/json")

    assert (answer.status_code, answer["Retry-After"]) == (503, "10")


def test_queries_do_not_grow_with_the_rows(api, project):
    counted = []
    for n in (2, 60):
        rows = [
            {"trace_id": f"{n} {at}", "reviews": [{"reviewer": "a@x.org", "scores": {"tone": 3}}],
             "judgements": [{"judge": "mine", "scores": {"tone": 2}}]}
            for at in range(n)
        ]  # fmt: skip
        api.post(IMPORT, rows[:1], content_type="application/json")
        with CaptureQueriesContext(connection) as found:
            assert api.post(IMPORT, rows, content_type="application/json").json()["rejected"] == 0
        counted.append(len(found))

    assert counted[0] == counted[1]


@pytest.mark.django_db(transaction=True)
def test_the_same_file_twice_at_once_comes_in_once(project, alice):
    rows = [
        {"trace_id": f"item-{n}", "reviews": [{"reviewer": "anna", "scores": {"tone": 1 + n % 5}}],
         "judgements": [{"judge": "mine", "scores": {"tone": 3}}]}
        for n in range(60)
    ]  # fmt: skip
    answers = []

    def send(ordered):
        try:
            answers.append(bring_in(project, read_json(ordered), by=By(user_id=alice.pk)))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must show it
            answers.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(ordered,)) for ordered in (rows, rows[::-1], rows)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [getattr(each, "rejected", each) for each in answers] == [0, 0, 0]
    assert sum(each.reviews_new for each in answers) == sum(each.judgements_new for each in answers) == 60
    assert (Review.objects.count(), len(everything())) == (60, 120)


def thousand():
    """A thousand items as CSV: three people and two judges on each, and two lines that are wrong."""
    lines = ["trace_id,reviewer,judge,score.quality"]
    for n in range(1000):
        lines += [f"item-{n},{who},,{1 + (n + at) % 5}" for at, who in enumerate(("anna", "ben", "cleo"))]
        lines += [f"item-{n},,{judge},{1 + n % 5}" for judge in ("house", "cheap")]
    lines[3] = "item-0,cleo,,seventeen"
    lines.insert(2000, "item-x,anna,house,3")
    return "\n".join(lines).encode() + b"\n"


@pytest.mark.django_db(transaction=True)
def test_a_thousand_items_over_http_in_every_form_and_back(live, project):
    secret = keys.make_key(project, "labels", ("read", "write")).secret
    server = http.client.HTTPConnection(urlsplit(live).netloc, timeout=60)
    head = {"Authorization": f"Bearer {secret}"}

    def ask(method, path, body=None, **headers):
        server.request(method, path, body, head | headers, encode_chunked=not isinstance(body, bytes | None))
        answer = server.getresponse()
        return answer.status, answer.read()

    raw = thousand()
    status, said = ask("POST", IMPORT, raw, **{"Content-Type": "text/csv"})
    told = orjson.loads(said)
    assert (status, told["accepted"], told["rejected"]) == (200, 4999, 2)
    assert [(each["line"], each["errors"][0]["field"]) for each in told["items"]] == [
        (4, "line 4: scores.quality"), (2001, "line 2001: reviewer"),
    ]  # fmt: skip
    assert (told["reviews"]["created"], told["judgements"]["created"]) == (2999, 2000)

    # The same again, packed and without a length.
    packed = gzip.compress(raw)
    chunks = iter([packed[:5000], packed[5000:]])
    chunked = {"Content-Type": "text/csv", "Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
    status, said = ask("POST", IMPORT, chunks, **chunked)
    told = orjson.loads(said)
    assert (status, told["accepted"]) == (200, 4999)
    assert (told["reviews"]["created"], told["reviews"]["updated"]) == (0, 2999)

    # What comes out goes in again, to the same counts.
    for kind, content in (("csv", "text/csv"), ("ndjson", "application/x-ndjson")):
        status, file = ask("GET", f"{EXPORT}?format={kind}")
        assert status == 200
        status, said = ask("POST", IMPORT, file, **{"Content-Type": content})
        told = orjson.loads(said)
        assert (status, told["accepted"], told["rejected"]) == (200, 4999, 0)
        assert told["reviews"] == {"created": 0, "updated": 2999, "unchanged": 0}
        assert told["judgements"] == {"created": 0, "updated": 2000, "unchanged": 0}
    assert Review.objects.count() == 2999

    # Too large is said, not a cut connection, to somebody who is still sending.
    big = http.client.HTTPConnection(urlsplit(live).netloc, timeout=60)
    big.putrequest("POST", IMPORT)
    for name, value in (head | {"Content-Type": "text/csv", "Content-Length": str(64 * 1024 * 1024)}).items():
        big.putheader(name, value)
    big.endheaders(raw)
    assert big.getresponse().status == 413
    big.close()
    server.close()
