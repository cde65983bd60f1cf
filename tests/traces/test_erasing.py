"""Erasing a trace, a session, a user: gone from every column of every table, refused when it comes late."""

from __future__ import annotations

import pytest
from django.test import Client

from telltale.accounts.models import User
from telltale.projects import keys
from telltale.web.erasing import asking, removing, running
from telltale.web.models import ErasureName, ErasureTrace
from tests.telltale.test_access_walk import _furnish
from tests.traces.erasing_kit import erase, fold_all, found_in, plant

pytestmark = pytest.mark.django_db
MARK = "mark-7f3a9c41"
TRACE, KEPT = "ab" * 16, "cd" * 16


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for module in (running, removing):
        monkeypatch.setattr(module, "pause", lambda seconds: None)


@pytest.fixture
def client_of(shop):
    """A key with every scope."""
    secret = keys.make_key(shop.project, "all", keys.SCOPES).secret
    return Client(headers={"Authorization": f"Bearer {secret}"})


def marked(otlp, trace, span, mark, **more):
    """A span with a mark in every field that a sender has."""
    made = otlp.generation(
        trace, span, name=f"step {mark}", said=f"say {mark}", answered=f"it is {mark}",
        attributes={
            "user.id": mark, "session.id": f"{mark}-session", "gen_ai.request.model": f"model-{mark}",
            "gen_ai.response.model": f"model-{mark}", "telltale.feature": f"feature {mark}", "app.note": f"n {mark}",
            f"key.{mark}": "x", "telltale.release": f"r-{mark}", "gen_ai.prompt.name": f"p {mark}",
            "metadata": '{"plan": "' + mark + '"}', "tag.tags": f'["{mark}"]',
        },
        **more,
    )  # fmt: skip
    made["events"] = [{
        "name": f"event {mark}", "timeUnixNano": made["startTimeUnixNano"],
        "attributes": [{"key": "exception.message", "value": {"stringValue": mark}}],
    }]  # fmt: skip
    made["status"] = {"code": 2, "message": f"failed {mark}"}
    return made


def test_a_user_goes_from_every_column_of_every_table(otlp, shop, client_of):
    member = User.objects.create(email="dora@example.com")
    _furnish(shop.project, member, client_of, bytes.fromhex(TRACE))
    resource = {"service.name": f"service {MARK}", "host.name": f"host-{MARK}", "deployment.environment": f"env {MARK}"}
    otlp.send(marked(otlp, TRACE, "a1" * 8, MARK), resource=resource, scope=f"scope-{MARK}")
    otlp.send(marked(otlp, "ac" * 16, "a2" * 8, MARK), resource=resource)
    otlp.send(otlp.generation(KEPT, "c1" * 8, said="somebody else", attributes={"user.id": "other-1"}))
    told = [
        {"name": f"thumb {MARK}", "trace_id": TRACE, "comment": MARK, "user_id": MARK, "metadata": {"a": MARK}},
        {"name": "rating", "value": 3, "session_id": f"{MARK}-session", "client_id": f"own {MARK}"},
    ]
    assert client_of.post("/api/v1/signals", told, "application/json").status_code == 200
    score = {"name": "tone", "value": 2, "trace_id": TRACE, "comment": f"odd {MARK}"}
    assert client_of.post("/api/v1/scores", score, "application/json").status_code in {200, 201}
    fold_all()
    planted = plant(shop.project, MARK, TRACE)
    assert len(planted) > 150
    before = found_in(MARK)
    assert {"traces_span.attributes", "traces_payload.data", "traces_search_block.data", "traces_scope.stage"} <= {
        *before
    }

    receipt = erase(shop.project, "user", MARK)

    assert (receipt.state, receipt.remaining) == ("done", {})
    assert found_in(MARK) == []
    # The id is a user's and a session's as well, of somebody else, with what that one sent: those stay. A block of the
    # search index holds them in its data, or as its first word.
    assert {name.rsplit(".")[1] for name in found_in(TRACE)} <= {"user_id", "session_id", "data", "first"}
    assert {"traces_trace.trace_id"} <= set(found_in(KEPT))
    assert receipt.removed["traces_span"] >= 3
    assert receipt.subject == ""
    assert not ErasureTrace.objects.exists()
    assert not ErasureName.objects.exists()


def test_a_trace_goes_with_everything_that_hangs_on_it(otlp, shop):
    gone, kept = TRACE, KEPT
    for trace in (gone, kept):
        otlp.send(otlp.generation(trace, trace[:16], said=f"secret {trace}", attributes={"user.id": f"user-{trace}"}))

    receipt = erase(shop.project, "trace", gone)

    assert receipt.state == "done", receipt.remaining
    assert receipt.verified_at is not None
    assert receipt.removed["traces_span"] == 1
    assert found_in("secret " + gone) == []
    assert "traces_trace.trace_id" in found_in(kept)


def test_somebody_whose_id_only_begins_alike_keeps_everything(otlp, shop):
    for trace, user in ((TRACE, "user-42"), (KEPT, "user-42-b"), ("ce" * 16, "user-421")):
        otlp.send(otlp.generation(trace, trace[:16], said=f"I am {user}", attributes={"user.id": user}))
    fold_all()

    erase(shop.project, "user", "user-42")

    assert "traces_payload.data" in found_in("I am user-421")
    assert {"traces_trace.user_id", "traces_user_period.user_id"} <= set(found_in("user-42-b"))
    assert {"traces_trace.user_id", "traces_user_period.user_id"} <= set(found_in("user-421"))


def test_the_same_again_while_it_is_under_way_is_that_erasure(shop):
    first = asking.ask(shop.project, "user", "u-1")

    assert asking.ask(shop.project, "user", "u-1").pk == first.pk
