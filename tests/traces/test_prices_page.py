"""The prices pages: what has no price, the book, entering and ending, and pricing again with the difference first."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import time_machine

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from traces import prices
from traces.ingest.rules import forget as forget_rules
from traces.models import Price
from traces.read import prices as read
from traces.write import partitions, spans

NOW = datetime.now(UTC).replace(microsecond=0)
URL = "/p/shop/settings/prices/"
PRICE = {"model": "house-7b", "match": "exact", "tier": "standard", "input_fresh": "1.5", "output_text": "2"}
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh():
    partitions.forget()
    spans.forget()
    forget_rules()


def send_call(shop, model="house-7b", *, provider=None, tokens=(1000, 100), minutes=30):
    start = (NOW - timedelta(minutes=minutes)).isoformat()
    call = {
        "trace_id": uuid4().hex, "kind": "generation", "name": "chat", "model": model, "start": start, "end": start,
        "usage": {"input_tokens": tokens[0], "cached_tokens": 0, "output_tokens": tokens[1]},
    }  # fmt: skip
    body = {**call, **({"provider": provider} if provider else {})}
    assert shop.nobody.post("/api/v1/traces", body, "application/json", headers=shop.key("ingest")).status_code == 200
    return call["trace_id"]


def main(answer, status=200):
    assert answer.status_code == status, answer.content[:500]
    return answer.content.decode().partition("<main")[2].partition("</main>")[0]


def enter(shop, **fields):
    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        return prices.add_price(shop.project, {**PRICE, **fields}, UTC, by_id=None)


def test_a_model_without_a_price_is_named_first_with_its_calls(shop):
    send_call(shop)
    send_call(shop, "gpt-4o-mini", provider="openai")

    html = main(shop.erin.get(URL))

    assert "One model in traffic has no price: house-7b, 1 call." in html
    assert "never counted as $0" in html
    assert "/settings/prices/new/?model=house-7b&amp;provider=" in html
    assert "gpt-4o-mini" in html


def test_a_model_priced_meanwhile_waits_to_be_priced_again(shop):
    send_call(shop)
    enter(shop)

    html = main(shop.erin.get(URL))

    assert "house-7b has a price by now, but calls stored before are still unpriced." in html
    assert "has no price" not in html
    assert "/settings/prices/again/?model=house-7b" in html


def test_one_click_fills_the_form_from_the_price_most_like_it(shop):
    html = main(shop.erin.get(f"{URL}new/?model=gpt-4o-mini-latest&provider=openai"))

    assert "Filled in like gpt-4o-mini" in html
    assert 'value="gpt-4o-mini-latest"' in html
    assert 'name="input_fresh" value="0.15"' in html
    assert "Check the figures" in html


def test_a_name_like_no_other_gets_no_suggestion(shop):
    html = main(shop.erin.get(f"{URL}new/?model=zzqqxx-internal-thing"))

    assert "Filled in like" not in html


def test_from_unpriced_to_priced_again(shop):
    trace_id = send_call(shop)

    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        saved = shop.erin.post(f"{URL}new/", PRICE)
    assert saved.status_code == 302
    assert saved["Location"] == f"{URL}again/?model=house-7b"
    form = main(shop.erin.get(saved["Location"]))
    assert "house-7b</textarea>" in form
    asked = shop.erin.post(f"{URL}again/", {"from": "2020-01-01", "to": "", "models": "house-7b"})
    waiting = main(shop.erin.get(asked["Location"]))
    assert "Waiting for a worker. Nothing has changed yet." in waiting
    work.run_next()
    told = main(shop.erin.get(asked["Location"]))
    assert (
        "1 of 1 counted calls would change; together $0.0017 more. The cost of 1 of them was not known before." in told
    )
    applied = shop.erin.post(f"{asked['Location']}apply/")
    work.run_next()
    done = main(shop.erin.get(applied["Location"]))

    assert "1 of 1 counted calls changed; together $0.0017 more." in done
    read_back = shop.nobody.get(f"/api/v1/traces/{trace_id}", headers=shop.key("read")).json()
    assert read_back["cost"]["usd"] == "0.0017"
    assert "has no price" not in main(shop.erin.get(URL))
    assert AuditEntry.objects.filter(action="price.add", actor="erin@example.com").exists()


def test_a_running_job_refreshes_itself_and_a_plain_get_is_a_page(shop):
    send_call(shop)
    enter(shop)
    asked = shop.erin.post(f"{URL}again/", {"from": "2020-01-01", "to": "", "models": ""})

    fragment = shop.erin.get(asked["Location"], headers={"HX-Request": "true"}).content.decode()

    assert "<html" not in fragment
    assert 'hx-trigger="every 2s"' in fragment
    work.run_next()
    assert "hx-trigger" not in shop.erin.get(asked["Location"], headers={"HX-Request": "true"}).content.decode()


def test_a_job_can_be_stopped(shop):
    asked = shop.erin.post(f"{URL}again/", {"from": "2020-01-01", "to": "", "models": ""})

    shop.erin.post(f"{asked['Location']}cancel/")

    assert "The job was stopped." in main(shop.erin.get(asked["Location"]))


@pytest.mark.parametrize(
    "fields",
    [
        {"from": "soon", "to": "", "models": ""},
        {"from": "2026-01-02", "to": "2026-01-01", "models": ""},
        {"from": "0001-01-01", "to": "", "models": ""},
        {"from": "9999-12-31", "to": "", "models": ""},
        {"from": "2026-01-01", "to": "", "models": "\n".join(f"m{n}" for n in range(101))},
        {"from": "2026-01-01", "to": "", "models": "a\x00b"},
        {},
    ],
)
def test_orders_that_make_no_sense_are_said_and_start_nothing(shop, fields):
    html = main(shop.erin.post(f"{URL}again/", fields))

    assert "needs fixing" in html


def test_what_is_wrong_is_said_above_its_field_and_what_was_typed_stays(shop):
    html = main(shop.erin.post(f"{URL}new/", {**PRICE, "input_fresh": "1,5", "effective_from": "never"}))

    assert "2 things need fixing" in html
    assert 'href="#p-input_fresh"' in html
    assert 'value="1,5"' in html
    assert 'aria-describedby="p-input_fresh-error"' in html
    assert Price.objects.count() == 0


def test_a_price_is_corrected_and_both_rows_are_told(shop):
    row = enter(shop)

    form = main(shop.erin.get(f"{URL}{row.price_id}/"))
    saved = shop.erin.post(f"{URL}{row.price_id}/", {**PRICE, "input_fresh": "1.25"})

    assert 'name="input_fresh" value="1.50"' in form
    assert saved.status_code == 302
    html = main(shop.erin.get(URL))
    assert "input 1.25" in html
    assert "Replaced" in html
    assert main(shop.erin.get(f"{URL}{row.price_id}/"), status=404) is not None


def test_a_price_is_ended_after_asking(shop):
    row = enter(shop)

    asked = main(shop.erin.get(f"{URL}{row.price_id}/end/"))
    wrong = main(shop.erin.post(f"{URL}{row.price_id}/end/", {"at": "tomorrow"}))
    ended = shop.erin.post(f"{URL}{row.price_id}/end/", {"at": "2026-06-01"})

    assert "End the price of house-7b?" in asked
    assert "Give a day such as" in wrong
    assert ended.status_code == 302

    book, with_ended = (main(shop.erin.get(URL + query)).partition('id="book"')[2] for query in ("", "?ended=1"))
    book, with_ended = book.partition("<h2>Changes")[0], with_ended.partition("<h2>Changes")[0]
    assert "house-7b" not in book
    assert ' ended, <a href="?ended=1#book">show too</a>' in book
    assert "until 1 Jun 2026" in with_ended
    assert '<span class="badge">Ended</span>' in with_ended
    assert f'href="{URL}{row.price_id}/end/"' not in with_ended


def test_a_shipped_price_is_overridden_from_today(shop):
    shipped = next(row for row in read.list_book(shop.project.pk, q="gpt-4o-mini", level="shipped").rows)

    html = main(shop.erin.get(f"{URL}new/?like={shipped.price_id}"))

    assert f'value="{shipped.model}"' in html
    assert f'name="effective_from" value="{datetime.now(UTC):%Y-%m-%d}"' in html


def test_the_book_is_searched_and_pages(shop):
    enter(shop)

    first = main(shop.bob.get(f"{URL}?q=claude"))
    none = main(shop.bob.get(f"{URL}?q=nothing-like-it"))
    ours = main(shop.bob.get(f"{URL}?level=project"))

    assert "Further in the book" in first
    assert "after=25#book" in first
    assert "Earlier in the book" in main(shop.bob.get(f"{URL}?q=claude&after=25"))
    assert "No price fits" in none
    assert "1–1 of 1" in ours


@pytest.mark.parametrize(
    "query", ["?after=x", "?after=99999999999999", "?level=cosmic", "?q=%00", "?q=%ff", "?after=-5"]
)
def test_queries_that_make_no_sense_do_no_harm(shop, query):
    assert "The book in force" in main(shop.bob.get(URL + query))


@pytest.mark.parametrize("like", ["0", "x", "-", "9" * 30, "-1", "%00"])
def test_a_row_that_is_not_there_cannot_be_overridden(shop, like):
    assert shop.erin.get(f"{URL}new/?like={like}").status_code == 404


def test_viewers_look_and_change_nothing(shop):
    row = enter(shop)
    send_call(shop, "other")

    html = main(shop.bob.get(URL))

    assert "Your role, Viewer, reads these." in html
    assert "Add price" not in html
    assert "Correct" not in html
    assert shop.bob.get(f"{URL}new/").status_code == 403
    assert shop.bob.post(f"{URL}new/", PRICE).status_code == 403
    assert shop.bob.post(f"{URL}{row.price_id}/", PRICE).status_code == 403
    assert shop.bob.post(f"{URL}{row.price_id}/end/", {"at": "2026-01-01"}).status_code == 403
    shop.bob.post(f"{URL}again/", {"from": "2020-01-01", "to": "", "models": ""})
    assert "You cannot price again" in main(shop.bob.get(f"{URL}again/"))
    assert Price.objects.filter(replaced_at=None).count() == 1


def test_strangers_get_404_everywhere(shop):
    row = enter(shop)
    job = shop.erin.post(f"{URL}again/", {"from": "2020-01-01", "to": "", "models": ""})["Location"]

    for path in (URL, f"{URL}new/", f"{URL}{row.price_id}/", f"{URL}{row.price_id}/end/", f"{URL}again/", job):
        assert shop.charlie.get(path).status_code == 404, path
        assert shop.charlie.post(path, PRICE).status_code in {404, 405}, path
    elsewhere = job.replace("/p/shop/", "/p/elsewhere/")
    assert shop.charlie.get(elsewhere).status_code == 404
    assert shop.charlie.post(f"{elsewhere}apply/").status_code == 404
    assert shop.charlie.post(f"{elsewhere}cancel/").status_code == 404
    assert shop.charlie.get(f"/p/elsewhere/settings/prices/{row.price_id}/").status_code == 404


def test_model_names_are_text(shop):
    send_call(shop, "<b>bold</b>\u202e")

    html = main(shop.bob.get(URL))

    assert "<b>bold</b>" not in html
    assert "&lt;b&gt;bold" in html
    assert "\u202e" not in html


def test_the_page_costs_a_fixed_number_of_queries(shop, django_assert_max_num_queries):
    for n in range(8):
        send_call(shop, f"model-{n}", minutes=10 + n)
        enter(shop, model=f"other-{n}")

    with django_assert_max_num_queries(16):
        main(shop.erin.get(URL))
