"""`telltale reprice`: says what it would change, and changes it only when told to."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine

from telltale.run.commands import run_command
from traces import prices, reprice
from traces.ingest.rules import forget as forget_rules
from traces.write import partitions, spans

NOW = datetime.now(UTC).replace(microsecond=0)
pytestmark = pytest.mark.django_db


@pytest.fixture
def call(shop):
    partitions.forget()
    spans.forget()
    forget_rules()
    start = (NOW - timedelta(minutes=30)).isoformat()
    trace_id = uuid4().hex
    body = {
        "trace_id": trace_id, "kind": "generation", "name": "chat", "model": "house-7b", "start": start, "end": start,
        "usage": {"input_tokens": 1000, "cached_tokens": 0, "output_tokens": 0},
    }  # fmt: skip
    assert shop.nobody.post("/api/v1/traces", body, "application/json", headers=shop.key("ingest")).status_code == 200
    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        prices.add_price(shop.project, {"model": "house-7b", "input_fresh": "2"}, UTC, by_id=None)
    return trace_id


def run(*arguments):
    out = io.StringIO()
    return run_command(["reprice", *arguments], out), out.getvalue()


def cost(shop, trace_id):
    return shop.nobody.get(f"/api/v1/traces/{trace_id}", headers=shop.key("read")).json()["cost"]["usd"]


def test_without_apply_it_only_tells(shop, call):
    code, told = run("--project", "shop", "--from", "2026-01-01")

    assert code == 0
    assert "would change 1 of 1 counted calls, 0.002 USD" in told
    assert "house-7b: 1 calls, 0.002 USD" in told
    assert cost(shop, call) is None


def test_with_apply_it_changes_what_it_told(shop, call):
    code, told = run("--project", "shop", "--from", "2026-01-01", "--model", "house-7b", "--apply")

    assert code == 0
    assert "changed 1 of 1 counted calls, 0.002 USD" in told
    assert cost(shop, call) == "0.002"


def test_a_stopped_job_is_gone_on_with(shop, call):
    job = reprice.start_preview(shop.project, reprice.Order(NOW - timedelta(days=1), NOW), by_id=None)
    reprice.cancel(shop.project, job)

    code, told = run("--project", "shop", "--resume", str(job))

    assert code == 0
    assert "would change 1" in told


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--project", "nowhere", "--from", "2026-01-01"), "no project"),
        (("--project", "shop", "--from", "yesterday"), "must be times"),
        (("--project", "shop"), "must be times"),
        (("--project", "shop", "--resume", "999999"), "no re-pricing job"),
    ],
)
def test_what_cannot_be_is_said(shop, arguments, words):
    code, told = run(*arguments)

    assert code == 1
    assert words in told
