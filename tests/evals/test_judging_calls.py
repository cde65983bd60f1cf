"""The calls that judges make are traces of their own: priced, left out of the list unless asked for."""

from __future__ import annotations

from uuid import uuid4

import pytest

from telltale.lib import clock
from tests.evals.judging_kit import sql, store_traces
from traces import folding
from traces.own_calls import OwnCall, Rates, has_calls, price_call, store_calls

pytestmark = pytest.mark.django_db


def call(**more):
    values = {
        "trace_id": uuid4(), "span_id": 7, "name": "judge quality v1", "model": "gpt-4o-mini", "provider": "openai",
        "started_at": clock.now(), "duration_ms": 12.5, "input_tokens": 100, "output_tokens": 10,
        "system": "You judge.", "prompt": "<<<BEGIN answer>>>", "answer": "{}", "metadata": {"judge": "quality"},
    }  # fmt: skip
    return OwnCall(**{**values, **more})


def test_a_call_is_stored_once_and_priced_by_the_endpoint_or_the_book(project):
    own = call(rates=Rates(5, 7), model="house-model")
    booked = call()

    assert store_calls(project.pk, [own, booked]) == 2
    assert store_calls(project.pk, [own]) == 0

    costs = dict(sql("SELECT trace_id, cost_pico::bigint FROM traces_trace"))
    assert costs[own.trace_id] == 100 * 5 + 10 * 7
    assert costs[booked.trace_id] == price_call(project.pk, "openai", "gpt-4o-mini", 100, 10, 0)
    assert price_call(project.pk, "", "no-such-model", 100, 10) is None
    assert price_call(project.pk, "", "house-model", None, 10, rates=Rates(5, 7)) is None


def test_nobody_above_is_told_of_a_call(project):
    from traces import changes

    changes.watch(project.pk)

    store_calls(project.pk, [call()])

    assert changes.open_projects() == []


def test_a_call_that_failed_says_how(project):
    store_calls(project.pk, [call(error="timeout", answer="", input_tokens=None, output_tokens=None)])

    assert sql("SELECT error_type, error_count FROM traces_trace") == [("timeout", 1)]


@pytest.fixture
def judged(project):
    """Three traces of the application and two calls of a judge, folded into roll-ups."""
    from traces.own_calls import forget

    forget()
    store_traces(project, 3)
    store_calls(project.pk, [call(), call()])
    folding.fold_roll_ups()
    yield project
    forget()


def test_the_list_leaves_them_out_and_says_so(judged, alice, sign_in):
    client = sign_in(alice)
    page = client.get("/p/shop/traces/?t=1h").content.decode()

    assert page.count("judge quality v1") == 0
    assert "Calls of judges" in page
    assert "hidden" in page
    assert "judging=shown" in page

    shown = client.get("/p/shop/traces/?t=1h&judging=shown").content.decode()
    assert "telltale.judge" in shown or "judge quality v1" in shown
    asked = client.get("/p/shop/traces/?t=1h&service=telltale.judge").content.decode()
    assert "Calls of judges" not in asked


def test_a_list_without_judging_says_nothing_of_it(project, alice, sign_in):
    store_traces(project, 1)

    page = sign_in(alice).get("/p/shop/traces/?t=1h").content.decode()

    assert not has_calls(project.pk)
    assert "Calls of judges" not in page


def test_rest_leaves_them_out_too(judged, key, client):
    headers = {"HTTP_AUTHORIZATION": f"Bearer {key.secret}"}

    def names(query):
        return [item["service"] for item in client.get(f"/api/v1/traces?{query}", **headers).json()["items"]]

    assert names("") == ["shop"] * 3
    assert sorted(names("judging=shown")) == ["shop"] * 3 + ["telltale.judge"] * 2
    assert names("service=telltale.judge") == ["telltale.judge"] * 2
    assert client.get("/api/v1/traces?judging=perhaps", **headers).status_code == 400
    assert client.get("/api/v1/traces/facets", **headers).json()["count"] == 3
