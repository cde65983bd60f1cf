"""Problems of native ingest have the form of every other address: type, title, fields with limit and value."""

from __future__ import annotations

import pytest

from telltale.rest.problems import TITLES
from telltale.rest.schema import document

pytestmark = pytest.mark.django_db
URL = "/api/v1/traces"
BODY = 'the body holds no span; send {"name": ..., "spans": [...]} or a list of such traces'


@pytest.fixture
def sent(shop):
    headers = shop.key("ingest")
    return lambda body, kind="application/json": shop.nobody.post(URL, body, kind, headers=headers)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        (
            {"name": "x", "kind": "bogus"},
            [{"field": "kind", "limit": "one of agent, chain", "value": "'bogus'"}],
        ),
        (
            {"traces": [{"name": "x", "spans": [{"name": "y", "start": "soon"}], "start": "later"}]},
            [
                {"field": "traces[0].start", "limit": "an ISO 8601 time or a number since 1970", "value": "'later'"},
                {"field": "traces[0].spans[0].start", "value": "'soon'"},
            ],
        ),
        ([5], [{"field": "[0].trace", "limit": "a JSON object", "value": "int"}]),
        ({"name": "x", "trace_id": ["a"]}, [{"field": "trace_id", "limit": "a text", "value": "list"}]),
        ([], [{"field": "body", "message": BODY}]),
    ],
)
def test_a_400_names_each_field_with_limit_and_value(sent, body, errors):
    answer = sent(body)

    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert (problem["type"], problem["title"], problem["status"]) == ("urn:telltale:problem:400", TITLES[400], 400)
    assert problem["reason"] == "not_decodable"
    assert len(problem["errors"]) == len(errors)
    for told, wanted in zip(problem["errors"], errors, strict=True):
        limit = wanted.pop("limit", None)
        assert wanted == {name: told.get(name) for name in wanted}
        assert limit is None or told["limit"].startswith(limit)


def test_a_400_has_the_keys_of_any_other_400(shop, sent):
    mine = sent("{").json()
    other = shop.nobody.get(f"{URL}?limit=501", headers=shop.key("read")).json()

    assert set(mine) == {*other, "reason"}
    assert mine["type"] == other["type"]
    assert mine["errors"][0]["field"] == "body"


def test_other_refusals_have_the_form_too(shop, sent):
    media = sent("x", "text/plain").json()
    stranger = shop.nobody.post(URL, {}, "application/json").json()

    assert (media["type"], media["reason"]) == ("urn:telltale:problem:415", "content_type")
    assert media["errors"][0] == {
        "field": "Content-Type", "message": "is not accepted", "limit": "application/json", "value": "text/plain",
    }  # fmt: skip
    assert (stranger["type"], stranger["title"], stranger["reason"]) == (
        "urn:telltale:problem:401", TITLES[401], "no_valid_key",
    )  # fmt: skip


def test_the_document_describes_the_errors(db):
    shapes = document()["components"]["schemas"]

    reference = shapes["IngestProblem"]["properties"]["errors"]["items"]["$ref"]
    assert reference.rpartition("/")[2] in shapes
