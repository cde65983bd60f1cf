"""What is refused is written down: who, what, from where, and nothing that opens anything."""

from __future__ import annotations

import json
import logging

import pytest
from django.test import Client

from telltale.lib.logs import LineFormatter
from telltale.projects.keys import make_key
from telltale.projects.models import Project
from telltale.web import refused

pytestmark = pytest.mark.django_db


@pytest.fixture
def lines(caplog, monkeypatch):
    monkeypatch.setattr(refused, "_minute", 0)
    caplog.set_level(logging.WARNING, logger="telltale.refused")
    return lambda: [
        json.loads(LineFormatter().format(record)) for record in caplog.records if record.name == "telltale.refused"
    ]


def test_who_was_refused_what_is_a_line_with_the_reference_of_the_answer(inside, lines):
    stranger = inside.get("/p/no-such-project/traces/")
    key = make_key(Project.objects.get(slug="shop"), "narrow", ["ingest"])
    narrow = Client().get("/api/v1/traces", headers={"Authorization": f"Bearer {key.secret}"}, REMOTE_ADDR="192.0.2.7")
    nobody = Client().get("/api/v1/traces", headers={"Authorization": "Bearer tt_sk_unknown"})
    wrong = Client().get("/accounts/sessions/end-others/")

    told = lines()
    assert [line["reference"] for line in told] == [
        answer.headers["X-Request-Id"] for answer in (stranger, narrow, nobody)
    ], (wrong.status_code, told)
    assert "refused with 404: GET /p/<slug:slug>/traces/ by person " in told[0]["message"]
    assert f"refused with 403: GET /api/v1/traces by key {key.key.pk} from 192.0.2.7" in told[1]["message"]
    assert "refused with 401: GET /api/v1/traces by nobody" in told[2]["message"]
    assert "tt_sk" not in str(told)
    assert "no-such-project" not in str(told)


def test_too_many_tries_and_a_form_from_elsewhere_are_lines(lines):
    client = Client()
    for _ in range(11):
        answer = client.post("/accounts/login/", {"login": "nobody@example.com", "password": "x"})
    assert answer.status_code == 429
    assert Client(enforce_csrf_checks=True).post("/accounts/login/", {}).status_code == 403

    assert [line["message"].split(":")[0] for line in lines()] == ["refused with 429", "refused with 403"]


def test_a_flood_writes_so_many_lines_and_then_their_number(inside, lines, monkeypatch):
    now = [600.0]
    monkeypatch.setattr(refused.time, "monotonic", lambda: now[0])
    for _ in range(refused.LINES_A_MINUTE + 5):
        inside.get("/p/no-such-project/traces/")
    now[0] = 660.0
    inside.get("/p/no-such-project/traces/")

    told = lines()
    assert len(told) == refused.LINES_A_MINUTE + 1
    assert told[-1]["message"].endswith("; 5 more in the minute before")


def test_what_is_merely_not_there_is_no_line(client, db, lines):
    client.get("/no/such/page")

    assert lines() == []
