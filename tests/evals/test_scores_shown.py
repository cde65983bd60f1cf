"""Scores on the pages of traces: shown with who, value, reason and version; listed, filtered, and safe."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from evals import setup
from evals.models import Judge, JudgeVersion
from evals.read.scores import scores_of_trace, scores_of_traces
from telltale.projects import keys
from telltale.projects.models import Project

SPEC = {
    "criteria": [
        {"key": "correctness", "title": "Correctness", "definition": "Every claim is supported by a document.",
         "scale": {"kind": "points", "low": 1, "high": 5}, "flag_at_most": 2},
        {"key": "polite", "definition": "The answer greets and thanks.", "scale": {"kind": "boolean"}},
    ]
}  # fmt: skip
BASE = "/p/shop/traces/"


@pytest.fixture
def shop(project, key, alice, bob, sign_in):
    keys.cache.clear()
    yield Shop(project, key.secret, sign_in(alice), sign_in(bob))
    keys.cache.clear()


class Shop:
    """A project with traces that were scored."""

    def __init__(self, project, secret, alice, bob):
        self.project, self.alice, self.bob = project, alice, bob
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.client = Client()

    def post(self, address, body):
        answer = self.client.post(address, orjson.dumps(body), "application/json", headers=self.headers)
        assert answer.status_code == 200, answer.content
        return answer.json()

    def trace(self, number, **more):
        trace_id = f"{number:032x}"
        self.post("/api/v1/traces", {
            "trace_id": trace_id, "id": f"{number:016x}", "name": "answer", "input": f"question {number}",
            "start": time.time() - 60 - number, **more,
        })  # fmt: skip
        return trace_id

    def score(self, trace_id, **more):
        return self.post("/api/v1/scores", {"trace_id": trace_id, "name": "tone", "value": 4} | more)

    def judge(self):
        rubric = setup.save_rubric(self.project, SPEC, slug="answers", name="Answers")
        judge = Judge.objects.create(project=self.project, slug="quality", name="Answer quality", kind="rule")
        return JudgeVersion.objects.create(
            judge=judge, number=3, rubric_version_id=rubric.id, model="small-1", config={}, config_hash="x"
        )

    def judged(self, version, trace_id, judgement_id, *, flagged=False, state="scored", **scores):
        trace = UUID(trace_id)
        with connection.cursor() as cursor:
            cursor.execute("SELECT started_at FROM traces_trace WHERE trace_id = %s", [trace])
            started_at = cursor.fetchone()[0]
            cursor.execute(
                "INSERT INTO evals_judgement (project_id, judgement_id, judge_id, judge_version_id, target_kind,"
                " target_id, purpose, pi, state, next_at, made_at, started_at, is_flagged, flags)"
                " VALUES (%s, %s, %s, %s, 1, %s, 1, 0.25, %s, now(), now(), %s, %s, '{cut}')",
                [self.project.pk, judgement_id, version.judge_id, version.pk, trace, state, started_at, flagged],
            )
            for at, (name, number) in enumerate(scores.items()):
                cursor.execute(
                    "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name,"
                    " data_type, number, comment, evidence, judge_id, judge_version_id, rubric_version_id,"
                    " judgement_id, pi, made_at, updated_at) VALUES (%s, %s, 1, 1, %s, %s, %s, %s, %s, %s, %s, %s, %s,"
                    " %s, %s, 0.25, now(), now())",
                    [self.project.pk, judgement_id * 10 + at, trace, started_at, name, 2 if name == "polite" else 1,
                     number, "<script>it</script> contradicts kb-1", ["quoted words"], version.judge_id, version.pk,
                     version.rubric_version_id, judgement_id],
                )  # fmt: skip


def read(client, address):
    answer = client.get(address)
    assert answer.status_code == 200, answer.content
    return answer.content.decode()


def listed(shop, query):
    items = shop.client.get(f"/api/v1/traces?{query}", headers=shop.headers)
    assert items.status_code == 200, items.content
    return {int(item["trace_id"], 16) for item in items.json()["items"]}


def test_a_trace_shows_who_said_what_and_why(shop):
    trace_id, version = shop.trace(1), shop.judge()
    shop.judged(version, trace_id, 7, flagged=True, correctness=2, polite=1)
    shop.score(trace_id, name="latency budget", value="over", author="nightly", comment="p95 of 3 s")

    page = read(shop.bob, f"{BASE}{trace_id}/")

    card = page[page.index('id="scores"') :]
    for words in (
        "Correctness", "2 of 5", "yes", "Answer quality", "/p/shop/judges/quality/?v=3",
        "v3, small-1, rubric Answers v1",
        "&lt;script&gt;it&lt;/script&gt; contradicts kb-1", "quoted words", "The judge saw a shortened text",
        "drawn with probability 0.25", "uncorrected", "Flagged by Answer quality", "latency budget", "over", "nightly",
        "p95 of 3 s", "Why it was judged, or was not",
    ):  # fmt: skip
        assert words in card, words
    assert "<script>it" not in page


def test_a_trace_without_scores_shows_no_card(shop):
    assert 'id="scores"' not in read(shop.alice, f"{BASE}{shop.trace(1)}/")


def test_a_score_of_a_span_stands_in_its_panel(shop):
    trace_id = shop.trace(1)
    shop.score(trace_id, span_id=f"{1:016x}", name="span tone")

    panel = shop.alice.get(
        f"{BASE}{trace_id}/?span={1:016x}", headers={"HX-Request": "true", "HX-Target": "span"}
    ).content.decode()

    assert "span tone" in panel
    assert "1 score of this span" in panel


def test_a_session_shows_its_own_scores_and_those_of_its_turns(shop):
    first, second = shop.trace(2, session="s-1"), shop.trace(1, session="s-1")
    shop.post("/api/v1/scores", {"session_id": "s-1", "name": "resolved", "value": True, "comment": "in two turns"})
    shop.score(first, name="tone", value=3)
    version = shop.judge()
    shop.judged(version, second, 9, flagged=True, correctness=1)

    page = read(shop.bob, "/p/shop/sessions/s-1/")

    assert "Scores of the whole session" in page
    assert "in two turns" in page
    assert "tone 3" in page
    assert "correctness 1 of 5" in page
    assert "Flagged by quality" in page


def test_the_list_shows_scores_in_columns_of_choice(shop):
    trace_id, version = shop.trace(1), shop.judge()
    shop.judged(version, trace_id, 7, flagged=True, correctness=2, polite=1)
    shop.score(trace_id, name="tone and style", value=0.125)

    page = read(
        shop.bob, f"{BASE}?columns=time,said,scores,flagged,score.correctness,score.quality/polite,score.api/tone"
    )

    assert '<b class="up">2 of 5</b> correctness' in page
    assert "Score: correctness" in page
    assert "<b>yes</b>" in page
    assert "flagged" in page
    assert 'value="score.tone and style"' in page  # offered among the columns


def test_a_list_with_scores_asks_the_same_number_of_questions_at_any_length(shop):
    address, counts = f"{BASE}?columns=time,said,scores,flagged,score.tone&score.tone.min=1", []
    version = shop.judge()
    for first in (1, 11):
        for number in range(first, first + 10):
            trace_id = shop.trace(number)
            shop.score(trace_id)
            shop.judged(version, trace_id, number, correctness=4)
        read(shop.bob, address)
        with CaptureQueriesContext(connection) as queries:
            read(shop.bob, address)
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_a_trace_page_asks_the_same_number_of_questions_whatever_was_scored(shop):
    version, counts = shop.judge(), []
    trace_id = shop.trace(1)
    for number in (1, 20):
        shop.post("/api/v1/scores", [
            {"trace_id": trace_id, "name": f"n{number}-{at}", "value": at} for at in range(number)
        ])  # fmt: skip
        if number == 1:
            shop.judged(version, trace_id, number, correctness=4)
        read(shop.bob, f"{BASE}{trace_id}/")
        with CaptureQueriesContext(connection) as queries:
            read(shop.bob, f"{BASE}{trace_id}/")
        counts.append(len(queries))

    assert counts[0] == counts[1]


@pytest.fixture
def scored(shop):
    """Five traces: 1 judged well, 2 judged and flagged, 3 failed to be judged, 4 scored by a program, 5 not at all."""
    ids = {number: shop.trace(number) for number in range(1, 6)}
    version = shop.judge()
    shop.judged(version, ids[1], 1, correctness=5, polite=1)
    shop.judged(version, ids[2], 2, flagged=True, correctness=1, polite=0)
    shop.judged(version, ids[3], 3, state="failed")
    shop.score(ids[1], name="tone", value="kind")
    shop.score(ids[4], name="tone", value="rude")
    shop.score(ids[4], name="correctness", value=3)
    return shop


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("score.correctness.min=3", {1, 4}),
        ("score.correctness.max=3", {2, 4}),
        ("score.quality/correctness.max=3", {2}),
        ("score.api/correctness.exists=yes", {4}),
        ("score.people/correctness.exists=yes", set()),
        ("score.correctness=5", {1}),
        ("score.polite=yes", {1}),
        ("score.polite=no", {2}),
        ("score.tone=kind&score.tone=rude", {1, 4}),
        ("score.tone.not=kind", {2, 3, 4, 5}),
        ("score.correctness.exists=yes", {1, 2, 4}),
        ("score.correctness.missing=yes", {3, 5}),
        ("score.correctness.min=1&score.tone=kind", {1}),
        ("flagged=yes", {2}),
        ("flagged=no", {1}),
        ("flagged=quality", {2}),
        ("flagged=elsewhere", set()),
        ("flagged.not=yes", {1, 3, 4, 5}),
        ("judged=quality", {1, 2}),
        ("judged=quality:failed", {3}),
        ("judged=:failed", {3}),
        ("judged.not=quality", {3, 4, 5}),
    ],
)
def test_traces_are_filtered_by_their_scores(scored, query, found):
    now = datetime.now(UTC)
    window = f"from={(now - timedelta(hours=1)):%Y-%m-%dT%H:%M:%SZ}&to={(now + timedelta(hours=1)):%Y-%m-%dT%H:%M:%SZ}"

    assert listed(scored, query) == found
    assert listed(scored, f"{query}&{window}") == found
    assert read(scored.bob, f"{BASE}?{query}").count('class="rowlink') == len(found)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("score.tone.min=many", "score.tone.min"),
        ("score.=4", "score."),
        ("score.a b/c=4", "score.a b/c"),
        ("score." + "x" * 161 + "=4", "score." + "x" * 74),
        ("flagged=maybe not", "flagged"),
        ("flagged.min=3", "query"),
        ("judged=quality:lost", "judged"),
    ],
)
def test_a_bad_filter_by_scores_says_what_is_accepted(shop, query, field):
    answer = shop.client.get(f"/api/v1/traces?{query}", headers=shop.headers)

    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field[:20])
    assert answer.json()["errors"][0].get("limit")
    assert read(shop.bob, f"{BASE}?{query}")


def test_the_filter_form_adds_a_filter_by_a_score(shop):
    shop.trace(1)
    answer = shop.bob.get(f"{BASE}?field=score&key=tone&op=min&value=3&t=all")

    assert answer.status_code == 302
    assert "score.tone.min=3" in answer["Location"]
    assert "needs a name" in read(shop.bob, f"{BASE}?field=score&op=min&value=3")
    assert "needs a value" in read(shop.bob, f"{BASE}?field=flagged&op=missing&value=")
    assert "at least" in read(shop.bob, f"{BASE}?score.tone.min=3&t=all")


def test_filters_by_scores_are_few(shop):
    query = "&".join(f"score.n{at}.min=1" for at in range(11))

    answer = shop.client.get(f"/api/v1/traces?{query}", headers=shop.headers)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["limit"] == "10 filters of this kind"


def test_scores_of_another_project_are_not_seen(shop, charlie, sign_in):
    trace_id = shop.trace(1)
    shop.score(trace_id, comment="ours alone")
    far = Project.objects.get(slug="far")

    assert scores_of_trace(far.pk, UUID(trace_id)) == ()
    assert scores_of_traces(far.pk, [UUID(trace_id)]) == {}
    assert sign_in(charlie).get(f"{BASE}{trace_id}/").status_code == 404


def test_files_of_a_list_have_its_columns_of_scores(shop):
    version, first, second = shop.judge(), shop.trace(1), shop.trace(2)
    shop.judged(version, first, 7, flagged=True, correctness=2, polite=1)
    shop.score(first, name="tone", value="rude")
    columns = "columns=score.correctness,score.polite,score.tone,flagged,scores"

    answer = shop.bob.get(f"{BASE}?t=all&format=ndjson&{columns},time")
    rest = shop.client.get(f"/api/v1/traces?format=ndjson&{columns}", headers=shop.headers)

    for found in (answer, rest):
        rows = {row["trace_id"]: row for row in map(orjson.loads, b"".join(found.streaming_content).splitlines())}
        scored = {key: rows[first][key] for key in ("score.correctness", "score.polite", "score.tone", "flagged")}
        assert scored == {"score.correctness": 2.0, "score.polite": True, "score.tone": "rude", "flagged": "quality"}
        assert rows[first]["scores"] == "correctness 2 of 5; polite yes; tone rude"
        assert [rows[second][key] for key in (*scored, "scores")] == [None] * 5
    csv = b"".join(shop.bob.get(f"{BASE}?t=all&format=csv&{columns}").streaming_content).decode()
    assert csv.splitlines()[0].endswith("score.correctness,score.polite,score.tone,flagged,scores")
    wrong = shop.client.get("/api/v1/traces?format=csv&columns=colour", headers=shop.headers)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "columns")
