"""The accounting page: the sentence first, every number explained, nothing for strangers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import orjson
import pytest
import time_machine
from django.db import connection

from traces.accounting import fold_batches

NOW = datetime(2026, 11, 19, 11, 2, tzinfo=UTC)
URL = "/p/shop/accounting/"
pytestmark = pytest.mark.django_db
_ids = count(1)


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(NOW, tick=False):
        yield


def make_batch(
    project, *, at=NOW - timedelta(hours=2), key_id=1, source="traces", stored=0, rejected=None, received=None
):
    rejected = rejected or {}
    n_rejected = sum(n for n, _ in rejected.values())
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_ingest_batch VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s::jsonb,NULL,NULL,false)",
            [
                next(_ids), project.pk, key_id, source, at, at + timedelta(milliseconds=40), 100,
                stored + n_rejected if received is None else received, stored, 0, n_rejected, 0,
                orjson.dumps({"rejected": rejected, "dropped": {}}).decode(),
            ],
        )  # fmt: skip


def make_refusal(project, *, reason="too_large", status=413, n=3, example="body of 90,000,000 bytes"):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_ingest_refusal_hour VALUES (%s, %s, 'traces', %s, %s, %s, %s, %s)",
            [project.pk, NOW.replace(minute=0), status, reason, n, example, NOW],
        )


def page(client, query=""):
    answer = client.get(URL + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_sentence_comes_first_and_adds_up(shop):
    make_batch(shop.project, stored=12_400, rejected={"no_trace_id": [2, "traceId is empty"]})
    make_batch(shop.project, stored=7, source="logs")

    html = page(shop.bob)

    assert "All 12,402 spans received in the last 24 h are accounted for. So are 7 log records." in html
    assert "12,409 received = 12,407 stored + 0 stored already + 2 rejected + 0 dropped by policy." in html
    assert "no_trace_id" in html
    assert "traceId is empty" in html
    assert "<svg viewBox" in html


def test_the_page_says_the_same_before_and_after_folding(shop):
    make_batch(shop.project, stored=9, rejected={"x": [1, "y"]})
    before = page(shop.bob)

    fold_batches()

    # Above the title it may say how long the account waits to be kept.
    assert "<h1" in before
    assert before.partition("<h1")[2].partition("</main>")[0] in page(shop.bob)


def test_a_sum_that_does_not_hold_is_an_alarm(shop):
    make_batch(shop.project, stored=5, received=9)

    html = page(shop.bob)

    assert "4 of 9 things received in the last 24 h are not accounted for. This is a fault of ours." in html
    assert "The sum does not hold" in html
    assert "The sum holds" not in html


def test_nothing_received_has_a_page_of_its_own(shop):
    html = page(shop.bob)

    assert "Nothing was received in this window" in html
    assert '<svg viewBox="0 0 1060' not in html


def test_refused_requests_are_listed_with_their_example(shop):
    make_refusal(shop.project)

    html = page(shop.bob)

    assert "too_large" in html
    assert "body of 90,000,000 bytes" in html


def test_sender_text_is_text(shop):
    make_batch(shop.project, rejected={"bad": [1, "<script>alert(1)</script>\u202e"]})

    html = page(shop.bob)

    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
    assert "\u202e" not in html


def test_window_and_filters_live_in_the_address(shop):
    make_batch(shop.project, stored=3, at=NOW - timedelta(days=3))
    make_batch(shop.project, stored=4, source="native")

    assert "All 4 spans received in the last 24 h" in page(shop.bob)
    assert "All 7 spans received in the last 7 days" in page(shop.bob, "?t=7d")
    assert "All 4 spans received in the last 7 days" in page(shop.bob, "?t=7d&source=native")
    assert "All 3 spans received from 2026-11-16 00:00 to 2026-11-17 00:00" in page(
        shop.bob, "?from=2026-11-16 00:00&to=2026-11-17 00:00"
    )


def test_days_are_cut_in_the_zone_of_the_project(shop):
    shop.project.time_zone = "Pacific/Auckland"
    shop.project.save()
    make_batch(shop.project, stored=3, at=datetime(2026, 11, 18, 11, 30, tzinfo=UTC))

    html = page(shop.bob, "?t=7d")

    assert "Most came in the day of 19 Nov: 3." in html


@pytest.mark.parametrize(
    "query",
    ["?t=forever", "?from=never", "?from=2026-11-19&to=2026-11-01", "?from=%00", "?from=0001-01-01&to=9999-12-31"],
)
def test_a_window_that_makes_no_sense_says_so_and_shows_the_default(shop, query):
    html = page(shop.bob, query)

    assert "The window was not understood" in html


@pytest.mark.parametrize("query", ["?key=abc", "?key=99999999999999999999", "?source=%00", "?key=%00", "?format=pdf"])
def test_filters_that_make_no_sense_are_left_out(shop, query):
    make_batch(shop.project, stored=1)

    assert "The one span received" in page(shop.bob, query)


def test_csv_holds_every_hour(shop):
    make_batch(shop.project, stored=5, rejected={"x": [1, "y"]})

    answer = shop.bob.get(URL + "?format=csv")

    lines = answer.getvalue().decode().splitlines()
    assert answer["Content-Type"].startswith("text/csv")
    assert lines[0].startswith("hour,requests,body_bytes,received,stored")
    assert len(lines) == 1 + 25
    assert "2026-11-19T09:00:00+00:00,1,100,6,5,0,1,0,0,40.0,40.0" in lines


def test_strangers_and_people_not_signed_in_see_nothing(shop):
    make_batch(shop.project, stored=5)

    assert shop.charlie.get(URL).status_code == 404
    assert shop.nobody.get(URL).status_code == 302


def test_no_query_grows_with_the_window(shop, django_assert_max_num_queries):
    for hours in range(40):
        make_batch(shop.project, stored=1, at=NOW - timedelta(hours=hours), key_id=hours % 5)

    with django_assert_max_num_queries(10):
        page(shop.bob, "?t=7d")


def test_rest_says_what_the_page_says(shop):
    make_batch(shop.project, stored=5, rejected={"x": [1, "y"]})
    make_refusal(shop.project)

    found = shop.nobody.get("/api/v1/accounting", headers=shop.key("read")).json()

    assert found["adds_up"] is True
    assert found["spans"]["received"] == 6
    assert found["reasons"] == [
        {
            "key_id": 1, "source": "traces", "outcome": "rejected", "reason": "x", "n": 1, "last_example": "y",
            "last_at": "2026-11-19T09:02:00Z",
        }
    ]  # fmt: skip
    assert found["refusals"][0]["n"] == 3
    assert (found["start"], found["end"]) == ("2026-11-18T11:00:00Z", "2026-11-19T12:00:00Z")
    assert len(found["by_hour"]) == 25
