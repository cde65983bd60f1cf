"""Large requests are stored in parts: nothing lost or counted twice, one request in the account, also after a fault."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest

from telltale.projects.models import Project
from tests.traces.test_store import NOW, assert_sums_hold, fetch, make_span, shop  # noqa: F401
from traces.accounting import fold_batches
from traces.canonical.types import CanonicalSpan, Intake, Rejection
from traces.ingest.rules import rules_for
from traces.read.accounting import read_account
from traces.write import parts, store_request
from traces.write.batch import Batch, Outcome

BYTES = 4_321


def made(sizes: list[int]) -> list[CanonicalSpan]:
    """Traces of so many spans, in turns, as a collector sends them."""
    traces = [[make_span(UUID(int=at + 1), n + 1) for n in range(size)] for at, size in enumerate(sizes)]
    mixed = []
    for at in range(max(sizes)):
        mixed.extend(trace[at] for trace in traces if at < len(trace))
    return mixed


def store(project: Project, spans: list[CanonicalSpan], *, refused: int = 0) -> Outcome:
    rejections = [Rejection("bad_id", "trace_id is empty", refused)] if refused else []
    intake = Intake(len(spans) + refused, list(spans), rejections)
    return store_request(Batch(project.pk, 1, "traces", NOW, BYTES), intake, rules_for(project.pk))


def rows(project: Project) -> list[tuple[int, int]]:
    query = "SELECT received, body_bytes FROM traces_ingest_batch WHERE project_id = %s ORDER BY committed_at"
    return [(row["received"], row["body_bytes"]) for row in fetch(query, project.pk)]


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_SPANS", 10)


@pytest.mark.usefixtures("small_parts")
def test_parts_hold_whole_traces_and_add_up(shop: Project) -> None:  # noqa: F811
    spans = made([4, 5, 3, 25, 2])

    outcome = store(shop, [*spans, spans[0]], refused=3)

    assert (outcome.received, outcome.stored, outcome.duplicate, outcome.rejected_total) == (43, 39, 1, 3)
    assert outcome.rejected == {"bad_id": (3, "trace_id is empty")}
    # 4 + 5 and the span sent twice, 3, the trace of 25 whole, 2 with what was refused.
    assert rows(shop) == [(10, 0), (3, 0), (25, 0), (5, BYTES)]
    assert_sums_hold(shop)


@pytest.mark.usefixtures("small_parts")
def test_parts_are_one_request_in_the_account_before_and_after_folding(shop: Project) -> None:  # noqa: F811
    store(shop, made([8, 8, 8]))
    asked = (shop.pk, NOW - timedelta(hours=2), NOW + timedelta(hours=2))
    before = read_account(*asked)

    assert fold_batches() == 3

    assert before == read_account(*asked)
    query = "SELECT requests, body_bytes, received, lag_ms_sum FROM traces_ingest_hour WHERE project_id = %s"
    (flow,) = fetch(query, shop.pk)
    assert (flow["requests"], flow["body_bytes"], flow["received"]) == (1, BYTES, 24)
    assert flow["lag_ms_sum"] > 0


@pytest.mark.usefixtures("small_parts")
def test_what_breaks_half_way_is_made_good_by_sending_again(
    shop: Project,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spans = made([8, 8, 8])
    whole, calls = parts.store_spans, []

    def breaks(*args: object, **named: object) -> Outcome:
        calls.append(1)
        if len(calls) == 2:
            raise psycopg.OperationalError("away")
        return whole(*args, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(parts, "store_spans", breaks)
    with pytest.raises(psycopg.OperationalError):
        store(shop, spans)
    assert rows(shop) == [(8, 0)]

    again = store(shop, made([8, 8, 8]))

    assert (again.received, again.stored, again.duplicate) == (24, 16, 8)
    assert_sums_hold(shop)


def test_a_request_of_one_part_is_stored_in_one_go(shop: Project) -> None:  # noqa: F811
    trace = uuid4()

    outcome = store(shop, [make_span(trace, 1), make_span(trace, 2)])

    assert outcome.stored == 2
    assert rows(shop) == [(2, BYTES)]
