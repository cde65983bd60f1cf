"""Scores by REST: what may be said, about what, and that one bad item never takes good ones with it."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from django.db import connection
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from evals import scoring
from telltale.projects import keys

URL = "/api/v1/scores"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


@pytest.fixture
def api(project, key):
    keys.cache.clear()
    yield Caller(key.secret)
    keys.cache.clear()


class Caller:
    """Asks the API with a key."""

    def __init__(self, secret):
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.client = Client()

    def post(self, body, address=URL):
        return self.client.post(address, orjson.dumps(body), "application/json", headers=self.headers)

    def get(self, query="", address=URL):
        return self.client.get(address + query, headers=self.headers)

    def delete(self, score_id):
        return self.client.delete(f"{URL}/{score_id}", headers=self.headers)

    def trace(self, trace_id=TRACE, **more):
        span = {"trace_id": trace_id, "id": SPAN, "name": "answer", "start": time.time() - 60, **more}
        answer = self.post(span, "/api/v1/traces")
        assert answer.status_code == 200, answer.content
        return trace_id


def score(**more):
    return {"name": "helpfulness", "value": 4, "trace_id": TRACE} | more


def rows(project):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM evals_score WHERE project_id = %s", [project.pk])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("item", "shown"),
    [
        ({"value": 4}, {"value": 4.0, "data_type": "numeric", "target": "trace", "trace_id": TRACE, "span_id": None}),
        ({"value": True}, {"value": True, "data_type": "boolean"}),
        ({"value": 0, "data_type": "boolean"}, {"value": False, "data_type": "boolean"}),
        ({"value": "good"}, {"value": "good", "data_type": "label"}),
        ({"value": "It says so.", "data_type": "text"}, {"value": "It says so.", "data_type": "text"}),
        ({"span_id": SPAN}, {"target": "span", "span_id": SPAN}),
        ({"trace_id": None, "session_id": "s-1"}, {"target": "session", "session_id": "s-1", "trace_id": None}),
        ({"trace_id": str(UUID(TRACE))}, {"trace_id": TRACE}),
        ({"comment": "why", "evidence": ["a", "b"]}, {"comment": "why", "evidence": ["a", "b"]}),
        ({"metadata": {"run": 7}}, {"metadata": {"run": 7}}),
        ({"author": "nightly"}, {"author": "nightly", "source": "api"}),
        ({"made_at": "2026-01-02T03:04:05Z"}, {"made_at": "2026-01-02T03:04:05Z"}),
    ],
)
def test_a_score_is_kept_as_it_was_said(api, item, shown):
    answer = api.post(score(**item))

    assert answer.status_code == 200, answer.content
    result = answer.json()["items"][0]
    assert result["status"] == "created"
    found = api.get(address=f"{URL}/{result['id']}").json()
    assert {name: found[name] for name in shown} == shown


@pytest.mark.parametrize(
    ("item", "field", "limit"),
    [
        ({"name": ""}, "name", None),
        ({"name": "x" * 101}, "name", "100 characters"),
        ({"name": "a/b"}, "name", scoring.NAME_RULE),
        ({"name": 3}, "name", "a string"),
        ({"value": None}, "value", "a number, true or false, or text"),
        ({"value": 1e16}, "value", "a finite number from -1e+15 to 1e+15"),
        ({"value": {"a": 1}}, "value", "a finite number from -1e+15 to 1e+15"),
        ({"value": 2, "data_type": "boolean"}, "value", "true, false, 1 or 0"),
        ({"value": "4", "data_type": "numeric"}, "value", "a finite number from -1e+15 to 1e+15"),
        ({"value": 4, "data_type": "stars"}, "data_type", "one of numeric, boolean, label, text"),
        ({"value": "x" * 201}, "value", "200 characters, or data_type text"),
        ({"trace_id": None}, "trace_id", "one of the two"),
        ({"session_id": "s"}, "trace_id", "one of the two"),
        ({"trace_id": "0" * 32}, "trace_id", "32 hex digits or a UUID, not all zero"),
        ({"trace_id": "my-own"}, "trace_id", "32 hex digits or a UUID, not all zero"),
        ({"span_id": "zz"}, "span_id", "16 hex digits, not all zero"),
        ({"trace_id": None, "session_id": "s", "span_id": SPAN}, "span_id", "trace_id with span_id"),
        ({"id": "x" * 201}, "id", "200 characters"),
        ({"evidence": "one"}, "evidence", "at most 20 strings"),
        ({"evidence": ["x"] * 21}, "evidence", "20 strings"),
        ({"metadata": [1]}, "metadata", "an object"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata", "16384 bytes"),
        ({"made_at": "soon"}, "made_at", "ISO 8601, years 1970 to 2200, such as 2026-11-19T10:41:07Z"),
        ({"made_at": "2199-01-01T00:00:00Z"}, "made_at", None),
        ({"commment": "typo"}, "commment", f"one of {', '.join(scoring.FIELDS)}"),
    ],
)
def test_a_bad_score_is_told_with_its_field_and_limit(api, project, item, field, limit):
    answer = api.post(score(**item))

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert limit is None or error.get("limit") == limit
    assert rows(project) == 0


def test_bad_items_take_no_good_ones_with_them(api, project):
    answer = api.post({"scores": [score(), score(value=None), 7, score(name="tone", value="kind")]})

    told = answer.json()
    assert answer.status_code == 200
    assert (told["accepted"], told["rejected"]) == (2, 2)
    assert [item["status"] for item in told["items"]] == ["created", "rejected", "rejected", "created"]
    assert told["items"][1]["errors"][0]["field"] == "value"
    assert rows(project) == 2


def test_a_bare_array_is_read_and_its_size_is_limited(api, project):
    assert api.post([score(), score(name="tone")]).json()["accepted"] == 2
    assert api.post([score()] * 1000).json()["accepted"] == 1000
    assert api.post([score()] * 1001).json()["errors"][0] == {
        "field": "scores", "message": "has too many items", "limit": "1 to 1000 scores", "value": 1001,
    }  # fmt: skip
    assert api.post([]).status_code == 400
    assert rows(project) == 1002


def test_the_callers_id_sent_again_replaces(api, project):
    first = api.post(score(id="run-1", comment="first")).json()["items"][0]
    again = api.post(score(id="run-1", value="bad", span_id=SPAN)).json()["items"][0]

    assert (first["status"], again["status"]) == ("created", "updated")
    assert first["id"] == again["id"]
    found = api.get(address=f"{URL}/{first['id']}").json()
    assert (found["value"], found["target"], found["comment"]) == ("bad", "span", None)
    assert rows(project) == 1


def test_a_score_is_found_by_an_id_of_which_a_part_is_masked(api, project):
    card = "4111 1111 1111 1111"
    api.post([score(id=f"run {card}"), score(id="run-2")])

    (found,) = api.get(f"?external_id=run {card}").json()["items"]
    assert "4111" not in found["external_id"]
    assert found["external_id"].startswith("run [masked: card ")
    assert api.get(f"?external_id={found['external_id']}").json()["items"] == [found]


def test_of_one_id_in_a_request_the_last_counts(api, project):
    told = api.post([score(id="a", value=1), score(id="b"), score(id="a", value=5)]).json()["items"]

    assert [item["status"] for item in told] == ["superseded", "created", "created"]
    assert told[0]["id"] == told[2]["id"]
    assert api.get("?external_id=a").json()["items"][0]["value"] == 5
    assert rows(project) == 2


def test_another_projects_id_is_another_score(api, project, charlie):
    from telltale.projects.models import Project

    far = Caller(keys.make_key(Project.objects.get(slug="far"), "Far", ("read", "write")).secret)
    mine = api.post(score(id="same")).json()["items"][0]["id"]
    theirs = far.post(score(id="same", value=1)).json()["items"][0]["id"]

    assert mine != theirs
    assert far.get(address=f"{URL}/{mine}").status_code == 404
    assert far.delete(mine).status_code == 404
    assert api.get(address=f"{URL}/{mine}").json()["value"] == 4


def test_the_id_of_a_persons_score_is_not_overwritten(api, project):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name, data_type,"
            " number, external_id, made_at, updated_at) VALUES (%s, 5, 2, 1, %s, now(), 'tone', 1, 3, 'taken', now(),"
            " now())",
            [project.pk, TRACE],
        )

    answer = api.post([score(id="taken"), score(id="free")])

    assert [item["status"] for item in answer.json()["items"]] == ["rejected", "created"]
    assert answer.json()["items"][0]["errors"][0]["field"] == "id"
    assert api.get("?external_id=taken").json()["items"][0]["source"] == "person"
    assert api.delete(5).status_code == 409


def test_a_score_may_come_before_its_trace(api, project):
    before = api.post(score()).json()["items"][0]["id"]
    trace = api.trace(start=(datetime.now(UTC) - timedelta(hours=5)).isoformat())

    assert scoring.date_scores() == 1

    began = datetime.fromisoformat(api.get(f"/{trace}", "/api/v1/traces").json()["started_at"])
    assert datetime.fromisoformat(api.get(address=f"{URL}/{before}").json()["started_at"]) == began
    assert scoring.date_scores() == 0
    later = api.post(score(name="later")).json()["items"][0]["id"]
    assert datetime.fromisoformat(api.get(address=f"{URL}/{later}").json()["started_at"]) == began


def test_a_score_on_a_session_has_the_sessions_start(api, project):
    api.trace(session="s-9", start=(datetime.now(UTC) - timedelta(hours=5)).isoformat())

    made = api.post(score(trace_id=None, session_id="s-9")).json()["items"][0]["id"]

    found = api.get(address=f"{URL}/{made}").json()
    assert found["started_at"] == api.get(f"/{TRACE}", "/api/v1/traces").json()["started_at"]


def test_lists_page_by_key_both_ways(api):
    for at in range(0, 25, 5):
        api.post([score(name="n", value=at + step, id=f"{at + step:02d}") for step in range(5)])
        time.sleep(0.002)

    seen, address = [], f"{URL}?name=n&limit=10"
    while address:
        body = api.get(address="/api" + address.split("/api", 1)[1]).json()
        seen.append([item["id"] for item in body["items"]])
        last, address = body, body["next"]
    assert [len(page) for page in seen] == [10, 10, 5]
    assert len({one for page in seen for one in page}) == 25
    ids = [int(one) for page in seen for one in page]
    assert ids == sorted(ids, reverse=True)
    back = api.get(address="/api" + last["previous"].split("/api", 1)[1]).json()
    assert [item["id"] for item in back["items"]] == seen[1]
    first = api.get(address="/api" + back["previous"].split("/api", 1)[1]).json()
    assert [item["id"] for item in first["items"]] == seen[0]
    assert first["previous"] is None


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?name=a", {"a"}),
        ("?name=a&name=b", {"a", "b"}),
        ("?min=3", {"b", "d"}),
        ("?max=2.5", {"a"}),
        ("?label=good", {"c"}),
        (f"?trace_id={TRACE}", {"a", "b", "c", "d"}),
        (f"?trace_id={TRACE}&span_id={SPAN}", {"d"}),
        ("?session_id=s", {"e"}),
        ("?target=session", {"e"}),
        ("?source=api", {"a", "b", "c", "d", "e"}),
        ("?source=judge", set()),
        ("?from=2030-01-01T00:00:00Z", set()),
        ("?to=2030-01-01T00:00:00Z", {"a", "b", "c", "d", "e"}),
    ],
)
def test_lists_are_filtered(api, query, names):
    api.post([
        score(name="a", value=1), score(name="b", value=3), score(name="c", value="good"),
        score(name="d", value=9, span_id=SPAN), score(name="e", value="fine", trace_id=None, session_id="s"),
    ])  # fmt: skip

    assert {item["name"] for item in api.get(query).json()["items"]} == names


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?judge=nobody", "judge"),
        ("?source=robot", "source"),
        ("?trace_id=x", "trace_id"),
        ("?span_id=b7ad6b7169203331", "span_id"),
        ("?min=many", "min"),
        ("?min=nan", "min"),
        ("?cursor=zzz", "cursor"),
        ("?limit=501", "limit"),
        ("?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "from"),
        ("?colour=red", "query"),
        ("?name=a%00b", "name"),
    ],
)
def test_a_bad_question_names_its_field(api, query, field):
    answer = api.get(query)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field


def test_lists_come_as_files(api):
    api.post([score(comment="=1+1", evidence=["x"]), score(name="ok", value=True)])

    csv = b"".join(api.get("?format=csv").streaming_content).decode()
    ndjson = b"".join(api.get("?format=ndjson").streaming_content).splitlines()

    assert csv.splitlines()[0].lstrip("\ufeff").startswith("id,name,value,data_type,source,target")
    assert "'=1+1" in csv
    assert {orjson.loads(line)["name"] for line in ndjson} == {"helpfulness", "ok"}
    assert {type(orjson.loads(line)["value"]) for line in ndjson} == {float, bool}


def test_names_are_listed_once_each(api):
    api.post([score(name=name) for name in ("b", "a", "b", "c")])

    assert api.get(address=f"{URL}/names").json() == {"items": ["a", "b", "c"]}


def test_a_score_is_removed(api):
    made = api.post(score()).json()["items"][0]["id"]

    assert api.delete(made).status_code == 204
    assert api.delete(made).status_code == 404
    assert api.get(address=f"{URL}/{made}").status_code == 404


def test_a_list_asks_the_same_number_of_questions_at_any_length(api):
    from django.test.utils import CaptureQueriesContext

    counts = []
    for _ in range(2):
        api.post([score(name=f"n{at}") for at in range(30)])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            api.get("?limit=500")
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("body", [b"", b"[", b"null", b"3", b'"x"', b'{"scores": 3}', b'{"scores": [], "x": 1}'])
def test_a_body_that_is_none_is_a_problem(api, body):
    answer = api.client.post(URL, body, "application/json", headers=api.headers)

    assert answer.status_code == 400


def test_a_body_beyond_the_limit_is_too_large(api):
    body = orjson.dumps(score(comment="x" * 9_000_000))

    assert api.client.post(URL, body, "application/json", headers=api.headers).status_code == 413


def test_a_key_needs_its_scope(project, api):
    reads = Caller(keys.make_key(project, "Reads", ("read",)).secret)
    sends = Caller(keys.make_key(project, "Sends", ("ingest",)).secret)

    assert reads.post(score()).status_code == 403
    assert sends.get().status_code == 403


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(item=st.dictionaries(st.sampled_from(scoring.FIELDS) | st.text(max_size=8), VALUES, max_size=8))
def test_whatever_comes_is_a_score_or_told_what_is_wrong(item):
    now = datetime(2026, 11, 1, tzinfo=UTC)
    faults = ()
    try:
        read = scoring.read_item(item, scoring.Author("test"), now)
    except scoring.ItemRefused as refused:
        read, faults = None, refused.faults

    assert (read is None) == bool(faults)
    assert all(fault.field and fault.message for fault in faults)
    assert read is None or (bool(read.name) and bool(read.trace_id or read.session_id))


def test_the_worker_dates_scores_whose_traces_have_come(api, project):
    from django.conf import settings

    from evals import tasks

    api.post(score(trace_id="ab" * 16))

    assert settings.CELERY_BEAT_SCHEDULE["evals.date_scores"]["task"] == tasks.date_scores.name
    assert tasks.date_scores() == 0
