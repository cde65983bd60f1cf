"""The door under attack: nothing breaks it, nothing is lost or counted twice, and the next sender notices nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from telltale.accounts.models import Organisation
from telltale.projects import keys
from telltale.projects.models import Project
from tests.traces import hostile_http, hostile_json, hostile_others, hostile_protobuf
from tests.traces.hostile_bodies import cases
from tests.traces.hostile_case import NATIVE, Case, trace_of
from tests.traces.hostile_wire import request, span
from traces.ingest import refusals
from traces.ingest import rules as ingest_rules
from traces.write import metrics, partitions, spans

SECRET = "tt_sk_" + "7" * 32
SLOWEST_SECONDS = 5.0
INTERNALS = re.compile(
    r"traceback|file \"|\.py\b|site-packages|psycopg|django|orjson|select |insert |copy |error:|exception|traces_",
    re.IGNORECASE,
)
FAMILIES = [
    *(hostile_protobuf.text_cases, hostile_protobuf.values_cases, hostile_protobuf.structure_cases),
    *(hostile_protobuf.times_cases, hostile_protobuf.ids_cases, hostile_protobuf.broken_protobuf_cases),
    *(hostile_http.encodings_cases, hostile_http.types_cases),
    *(hostile_json.broken_json_cases, hostile_json.json_spans_cases, hostile_json.json_inside_cases),
    *(hostile_others.logs_cases, hostile_others.metrics_cases, hostile_others.native_cases),
]


@pytest.fixture
def project(db: None) -> Iterator[Project]:
    for module in (partitions, spans, metrics, ingest_rules, refusals):
        module.forget()
    keys.cache.clear()
    organisation = Organisation.objects.create(name="Siege", slug="siege")
    project = Project.objects.create(organisation=organisation, name="siege", slug="siege")
    keys.make_key(project, "sdk", ("ingest", "read"), secret=SECRET)
    yield project
    keys.cache.clear()


def send(case: Case) -> Any:
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in case.headers.items()}
    # Given twice: the test client leaves the type of an empty body out.
    return Client().generic(
        "POST",
        case.path,
        case.body,
        content_type=case.content_type,
        CONTENT_TYPE=case.content_type,
        HTTP_AUTHORIZATION=f"Bearer {SECRET}",
        **headers,
    )


def take_batches() -> list[dict[str, Any]]:
    """The accounting rows written since the last time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM traces_ingest_batch RETURNING received, stored, duplicate, rejected, dropped, reasons::text"
        )
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def faults_of(case: Case) -> Iterator[str]:
    """What is wrong with the answer to one body and with what was kept of it."""
    started = time.perf_counter()
    response = send(case)
    seconds = time.perf_counter() - started
    if response.status_code not in case.status:
        yield f"answered {response.status_code}: {response.content[:200]!r}"
    if seconds > SLOWEST_SECONDS:
        yield f"took {seconds:.1f} s"
    told = INTERNALS.search(response.content.decode("utf-8", "replace"))
    if told:
        yield f"told {told.group()!r}: {response.content[:300]!r}"
    wanted = case.content_type.split(";")[0].strip().lower()
    if response.status_code != 415 and case.path != NATIVE and response["Content-Type"] != wanted:
        yield f"answered in {response['Content-Type']}"
    batches = take_batches()
    if response.status_code == 200:
        yield from _faults_of_account(case, batches)
    elif batches:
        yield f"refused and counted as received: {batches}"


def _faults_of_account(case: Case, batches: list[dict[str, Any]]) -> Iterator[str]:
    if case.items and len(batches) != 1:
        yield f"{len(batches)} accounting rows"
    for batch in batches:
        if batch["received"] != batch["stored"] + batch["duplicate"] + batch["rejected"] + batch["dropped"]:
            yield f"does not add up: {batch}"
        if case.items is not None and batch["received"] != case.items:
            yield f"received {batch['received']} of {case.items}"
        if case.stored is not None and batch["stored"] != case.stored:
            yield f"stored {batch['stored']} instead of {case.stored}: {batch['reasons']}"
        if "internal_error" in batch["reasons"] or "not_storable" in batch["reasons"]:
            yield f"our own fault: {batch['reasons']}"


def plain_span_is_stored(called: str) -> bool:
    trace = trace_of(f"plain after {called}")
    response = send(Case("plain", request(span(1, trace, name="plain"))))
    return (response.status_code, response.content) == (200, b"") and [row["stored"] for row in take_batches()] == [1]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_no_body_breaks_the_door(project: Project, family: Callable[[], Iterator[Case]]) -> None:
    faults = []
    for case in family():
        faults += [f"{case.name}: {fault}" for fault in faults_of(case)]
        if not plain_span_is_stored(case.name):
            faults.append(f"{case.name}: the plain span after it was not stored")

    assert faults == []


def test_the_corpus_is_large_and_each_name_stands_once() -> None:
    found = cases()

    assert len(found) > 2_000
    assert {case.path for case in found} == {"/v1/traces", "/v1/logs", "/v1/metrics", "/api/v1/traces"}


OPENED = (
    "bad utf-8 in name", "nul in nested value", "markup in user.id", "markup in event", "controls in session.id",
    "long in gen_ai.request.model", "nan in gen_ai.usage.input_tokens", "bytes in an attribute", "array 40 deep",
    "10,000 attributes", "1 MB attribute", "5,000 events", "own parent", "two in a circle", "circle of 500 with a tail",
    "chain 3,000 deep", "orphans", "two roots", "start 0", "start 2^63", "start 2^64-1", "end 2^64-1", "both year 1",
    "both year 9999", "end before start", "one trace, all times", "same response id in a circle",
    "[ 1000 deep as text in mlflow.spanInputs", '{"a": 3000 deep as text in gen_ai.input.messages',
    "call with arguments 1000 deep in response_data", "roles as text in gen_ai.output.messages",
    "surrogate as text in telltale.metadata", "flat messages clash", "exception", "json span links map",
)  # fmt: skip


def test_every_odd_trace_opens_and_so_does_its_twin(project: Project, client: Client) -> None:
    from telltale.accounts.models import OrganisationMember, User

    alice = User.objects.create(email="alice@example.com", name="Alice")
    OrganisationMember.objects.create(organisation=project.organisation, user=alice, is_owner=True)
    client.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    headers = {"Authorization": f"Bearer {SECRET}"}
    chosen = [case for case in cases() if case.name in OPENED]
    assert len(chosen) >= len(OPENED) - 1
    faults = []

    for case in chosen:
        assert send(case).status_code == 200
        trace = case.trace.hex()
        for path in (f"/p/siege/traces/{trace}/", f"/p/siege/traces/{trace}/?span=0000000000000001"):
            page = client.get(path)
            if page.status_code != 200 or b"<script>alert" in page.content:
                faults.append(f"{case.name}: {path} answered {page.status_code}")
        for path in ("", "/spans", "/spans?include=body", "/spans/0000000000000001"):
            answer = client.get(f"/api/v1/traces/{trace}{path}", headers=headers)
            if answer.status_code not in ({200, 404} if path.endswith("1") else {200}):
                faults.append(f"{case.name}: twin {path} answered {answer.status_code}")
    listing = client.get("/p/siege/traces/")

    assert faults == []
    assert listing.status_code == 200
