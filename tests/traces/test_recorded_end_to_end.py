"""Real SDKs' recordings through the real endpoints into PostgreSQL: calls, tokens and costs are those of the truth."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from telltale.accounts.models import Organisation
from telltale.projects import keys
from telltale.projects.models import Project
from traces.canonical.types import BUCKETS
from traces.ingest import rules as ingest_rules
from traces.write import metrics, partitions, spans

RECORDED = Path(__file__).resolve().parent.parent / "fixtures" / "recorded"
CLIENTS = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())
# USD per million tokens, from the providers' price pages: fresh, cache read, write 5m, write 1h, output. Written here
# by hand and not read from the shipped book, which is what is under test.
RATES = {
    "gpt-4o-mini": ("0.15", "0.075", "0", "0", "0.60"),
    "gpt-4o": ("2.50", "1.25", "0", "0", "10"),
    "o3-mini": ("1.10", "0.55", "0", "0", "4.40"),
    "text-embedding-3-small": ("0.02", "0", "0", "0", "0"),
    "claude-sonnet-4-5": ("3", "0.30", "3.75", "6", "15"),
    "claude-haiku-4-5": ("1", "0.10", "1.25", "2", "5"),
}


@pytest.fixture
def project(db: None) -> Iterator[tuple[Project, str]]:
    for module in (partitions, spans, metrics, ingest_rules):
        module.forget()
    keys.cache.clear()
    organisation = Organisation.objects.create(name="SDKs", slug=f"sdks-{uuid4().hex[:8]}")
    project = Project.objects.create(organisation=organisation, name="sdks", slug=f"sdks-{uuid4().hex[:8]}")
    yield project, keys.make_key(project, "sdk", ("ingest",)).secret
    keys.cache.clear()


def load(client: str, name: str) -> Any:
    return json.loads((RECORDED / client / name).read_text())


def replay(client: str, secret: str, order: random.Random | None = None) -> None:
    """Post what the client sent; shuffled and partly twice where `order` is given."""
    otlp = ("/v1/traces", "/v1/logs", "/v1/metrics")
    requests = [request for request in load(client, "manifest.json")["requests"] if request["path"].endswith(otlp)]
    if order is not None:
        requests = requests + order.sample(requests, len(requests) // 2)
        order.shuffle(requests)
    for request in requests:
        body = (RECORDED / client / request["file"]).read_bytes()
        response = Client().generic(
            "POST", request["path"], body, request["content_type"], HTTP_AUTHORIZATION=f"Bearer {secret}"
        )
        assert response.status_code == 200
        # No partial success: nothing a real SDK sends is refused.
        assert response.content in {b"", b"{}"}


def fetch(query: str, *parameters: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def totals(project: Project) -> dict[str, Any]:
    sums = ", ".join(f"COALESCE(sum({name}) FILTER (WHERE counted), 0)::bigint AS {name}" for name in BUCKETS)
    return fetch(
        f"SELECT {sums}, COALESCE(sum(cost_pico) FILTER (WHERE counted), 0)::bigint AS cost_pico,"
        " count(*) FILTER (WHERE NOT counted AND count_reason IS NOT NULL AND COALESCE(input_fresh, output_text) > 0)"
        " AS duplicates, count(*) AS spans FROM traces_span WHERE project_id = %s",
        project.pk,
    )[0]


def rates_of(model: str) -> tuple[Decimal, ...]:
    name = next(name for name in sorted(RATES, key=len, reverse=True) if model.startswith(name))
    return tuple(Decimal(rate) for rate in RATES[name])


def expected_pico(client: str) -> int:
    """What the calls cost by the published rates, over the tokens that this client lets anyone know."""
    truth = {call["number"]: call for call in load(client, "truth.json")}
    expect = load(client, "expect.json")
    cost = Decimal(0)
    for call in expect["tokens_by_call"]:
        model = truth[call["number"]]["model_answered"] or truth[call["number"]]["model_requested"]
        fresh, read, write_5m, write_1h, output = rates_of(model)
        cost += (call["input_fresh"] or 0) * fresh + (call["input_cache_read"] or 0) * read
        cost += (call["input_cache_write_5m"] or 0) * write_5m + (call["input_cache_write_1h"] or 0) * write_1h
        cost += ((call["output_text"] or 0) + (call["output_reasoning"] or 0)) * output
    for call in expect["tokens_told_by_hand"]:
        # Langfuse's generation of the worked example A, whose cache writes name no lifetime.
        fresh, read, write_5m, _, output = rates_of("claude-sonnet-4-5")
        cost += call["input_fresh"] * fresh + call["input_cache_read"] * read
        cost += call["input_cache_write_5m"] * write_5m + call["output_text"] * output
    return int(cost * 1_000_000)


@pytest.mark.parametrize("client", CLIENTS)
def test_tokens_and_costs_are_the_truth_of_the_recording(client: str, project: tuple[Project, str]) -> None:
    shop, secret = project
    expect = load(client, "expect.json")

    replay(client, secret)

    found = totals(shop)
    assert found["spans"] == expect["spans"]
    assert {name: found[name] for name in expect["tokens"]} == {k: v or 0 for k, v in expect["tokens"].items()}
    assert found["duplicates"] >= expect["duplicates_with_usage"]
    assert found["cost_pico"] == expected_pico(client)


@pytest.mark.parametrize("client", CLIENTS)
def test_any_order_and_resends_change_no_total(client: str, project: tuple[Project, str]) -> None:
    shop, secret = project
    replay(client, secret)
    straight = totals(shop)
    rows = (
        "SELECT trace_id, span_count, cost_pico, preview_in, preview_out, user_id FROM traces_trace"
        " WHERE project_id = %s ORDER BY trace_id"
    )
    traces = fetch(rows, shop.pk)

    for seed in range(3):
        other = Project.objects.create(organisation=shop.organisation, name="x", slug=f"x{seed}-{uuid4().hex[:8]}")
        replay(client, keys.make_key(other, "sdk", ("ingest",)).secret, random.Random(seed))

        assert totals(other) == straight
        assert fetch(rows, other.pk) == traces


def test_the_recordings_hold_enough_priced_calls_to_mean_something() -> None:
    calls = sum(len(load(client, "expect.json")["tokens_by_call"]) for client in CLIENTS)

    assert calls >= 40
    assert len(CLIENTS) >= 12
