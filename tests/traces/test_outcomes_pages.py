"""The pages of outcomes: every state, the form without a script, and the sessions behind a number."""

from __future__ import annotations

import random
import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from tests.traces.outcome_rows import NOON, put_session, put_signal, run_jobs
from traces import measuring
from traces.behaviour.types import Fact, Stratum
from traces.models import Outcome
from traces.outcomes.spec import parse_outcome
from traces.pages import outcomes as pages
from traces.read import TooSlow
from traces.read.behaviour import REFOLD
from traces.signals.kinds import Kind

PAGE = "/p/shop/outcomes/"
CONVERSION = {"measure": "share", "of": [{"kind": "conversion"}]}


@pytest.fixture
def now(db):
    with time_machine.travel(NOON + timedelta(hours=1), tick=False) as traveller:
        yield traveller


def read(client, path=PAGE, status=200, **headers):
    answer = client.get(path, headers=headers)
    assert answer.status_code == status, answer.content[:400]
    return " ".join(unescape(answer.content.decode()).split())


def fill(project_id, n=700, days=14):
    """`n` sessions over the last days: 40 % completed, a fifth of the older ones sold, half of the newer ones."""
    draw = random.Random(5)
    for at in range(1, n + 1):
        began = NOON - timedelta(days=days * at / n)
        is_completed = at % 5 < 2
        put_session(
            project_id, at, at=began, feature=("search", "checkout", "")[at % 3],
            facts=Fact.COMPLETED if is_completed else 0, stratum=Stratum.COMPLETED if is_completed else 1,
            cost=None if at % 10 == 0 else f"{draw.lognormvariate(-4, 0.5):.6f}",
        )  # fmt: skip
        if draw.random() < (0.5 if at < n / 2 else 0.2):
            put_signal(project_id, at, of=at, at=began, number=round(draw.lognormvariate(3, 0.5), 2))


def post(client, path, follow=True, **form):
    fields = {key.replace("__", "."): value for key, value in form.items()}
    return client.post(path, fields, follow=follow)


def test_before_there_is_an_outcome_the_page_says_what_one_is(shop, now):
    html = read(shop.erin)
    assert "No outcome yet" in html
    assert "Add one below with a click" in html
    for name in ("Conversion", "Resolution", "Escalation", "Order value", "Cost per resolved query", "Time to value"):
        assert f"<h3>{name}</h3>" in html
    looking = read(shop.bob)
    assert "Engineers, admins and owners define one." in looking
    assert '<form method="post" action="/p/shop/outcomes/preset/"' not in looking


def test_a_preset_is_one_click(shop, now):
    html = post(shop.erin, PAGE + "preset/", preset="order-value").content.decode()

    assert "Order value is added" in html
    assert Outcome.objects.get().slug == "order-value"
    assert '<span class="badge ok">added</span>' in html
    assert "Preset is none that is shipped" in post(shop.erin, PAGE + "preset/", preset="nope").content.decode()
    assert shop.bob.post(PAGE + "preset/", {"preset": "conversion"}).status_code == 403


def test_too_little_data_counting_and_a_stopped_count_are_said(shop, now):
    for n in range(1, 5):
        put_session(shop.project.pk, n)
    measuring.add_outcome(shop.project, "Sales", CONVERSION, by_id=None)
    waits = read(shop.bob, PAGE + "sales/")
    assert "The stored sessions are being counted" in waits
    assert "The count begins within seconds" in waits
    assert 'hx-trigger="every 3s"' in waits
    Job.objects.update(progress=2, total=4, state="running")
    assert "counting 2 of 4" in read(shop.bob)
    assert "2 of 4 so far, newest first" in read(shop.bob, PAGE + "sales/", **{"HX-Request": "true"})
    Job.objects.update(state="failed", error="DataError 22003")

    stopped = read(shop.erin, PAGE + "sales/")
    assert "The count stopped" in stopped
    assert "DataError 22003" in stopped
    assert "Count again" in stopped
    assert "count stopped" in read(shop.bob)
    assert "is being counted again" in post(shop.erin, PAGE + "sales/recount/").content.decode()
    run_jobs()

    html = read(shop.bob, PAGE + "sales/")
    assert "Too little data: 4 of 30 sessions, 26 more are needed" in html
    assert "Too little data for a curve" in html
    assert "being counted" not in html
    over = read(shop.bob, PAGE + "sales/", **{"HX-Request": "true"})
    assert "All stored sessions are counted" in over


def test_figures_stand_with_interval_n_change_and_coverage(shop, now):
    fill(shop.project.pk)
    for preset in ("conversion", "cost-per-resolved-query", "order-value"):
        measuring.add_preset(shop.project, preset, by_id=None)
    run_jobs()

    html = read(shop.bob)
    assert "more than noise, better" in html
    assert "95% CI" in html
    assert "cost known for 90% of sessions; 34 left out" in html
    assert html.count('<svg class="spark"') >= 2
    one = read(shop.bob, PAGE + "conversion/?t=7d")
    assert "Conversion: " in one
    assert "Show as a table" in one
    assert "no feature told" in one
    assert "Sessions that began 12 Nov 13:00 to Today 13:00" in re.sub(r"<[^>]+>", "", one)
    narrow = read(shop.bob, PAGE + "conversion/?t=7d&feature=checkout")
    assert "Remove the filter by feature" in narrow
    assert "/sessions/?from=" in one
    assert "/sessions/?t=7d&feature=checkout&which=with" in narrow


def test_the_sessions_behind_a_number_are_one_click_away(shop, now):
    for n in range(1, 61):
        put_session(shop.project.pk, n, at=NOON - timedelta(minutes=n), lone=n == 60)
    put_signal(shop.project.pk, 1, of=2)
    measuring.add_outcome(shop.project, "Sales", CONVERSION, by_id=None)
    measuring.add_outcome(shop.project, "Left", {"measure": "share", "of": [{"fact": "abandoned"}]}, by_id=None)
    run_jobs()

    first = read(shop.bob, PAGE + "sales/sessions/")
    assert "With a conversion" in first
    assert 'href="/p/shop/sessions/s1/"' in first
    assert ">Older<" in first
    assert ">Newer<" not in first
    (older,) = [part.split('"')[0] for part in first.split('href="')[1:] if "cursor=" in part]
    second = read(shop.bob, PAGE + "sales/sessions/" + older)
    assert f'href="/p/shop/traces/{60:032x}/"' in second
    assert "s51" in second
    assert ">Newer<" in second
    sold = read(shop.bob, PAGE + "sales/sessions/?which=with")
    assert ("s2" in sold, 'sessions/s1/"' in sold) == (True, False)
    assert "not known" in read(shop.bob, PAGE + "left/sessions/?which=unknown")
    assert "No such session" in read(shop.bob, PAGE + "left/sessions/?which=with")
    assert "was not understood" in read(shop.bob, PAGE + "sales/sessions/?cursor=zzz")
    assert "was not understood" in read(shop.bob, PAGE + "sales/sessions/?t=99y")
    rows = b"".join(shop.bob.get(PAGE + "sales/sessions/?which=with&format=csv").streaming_content).decode()
    assert rows.splitlines()[1].startswith("s2,,chat,2026-11-19T11:58:00Z,2,1,1,0.01,")
    days = b"".join(shop.bob.get(PAGE + "sales/?t=24h&format=csv").streaming_content).decode()
    assert days.splitlines()[0].startswith("day,start,end,value,low,high,sessions,unknown,sum_x,sum_y,lacking,unit")
    assert len(days.splitlines()) == 3


FORM = {
    "name": "Good ends", "measure": "share", "of0__what": "kind:thumb", "of0__check": "true",
    "of1__what": "kind:rating", "of1__check": "at_least", "of1__value": "4", "of2__name": "closed",
    "among0__what": "fact:followed_up", "features": "shop\n help \n", "better": "higher", "per": "session",
    "unit": "EUR",
}  # fmt: skip
SAID = {
    "measure": "share", "of": [{"kind": "thumb", "is": True}, {"kind": "rating", "at_least": 4.0}, {"name": "closed"}],
    "among": [{"fact": "followed_up"}], "features": ["shop", "help"], "better": "higher",
}  # fmt: skip


def test_the_form_says_a_measure_and_shows_it_again(shop, now):
    html = unescape(post(shop.erin, PAGE + "new/", **FORM).content.decode())
    assert "Good ends is saved" in html
    made = Outcome.objects.get()
    assert (made.name, made.slug, made.spec) == ("Good ends", "good-ends", SAID)

    form = read(shop.erin, PAGE + "good-ends/edit/")
    for part in (
        'value="Good ends"', '<option value="kind:thumb" selected>', '<option value="true" selected>', 'value="closed"',
        'value="4"', '<option value="fact:followed_up" selected>', "shop help",
    ):  # fmt: skip
        assert part in form, part
    assert form.count('.what">Or</label>') == 4 + 2
    value = FORM | {"measure": "value", "of2__name": "closed", "among0__what": "", "features": ""}
    assert "is being counted" not in post(shop.erin, PAGE + "good-ends/edit/", **FORM).content.decode()
    assert "are being counted" in post(shop.erin, PAGE + "good-ends/edit/", **value).content.decode()
    made.refresh_from_db()
    assert (made.revision, made.spec["per"], made.spec["unit"]) == (2, "session", "EUR")
    assert parse_outcome(made.spec).unit == "EUR"


@pytest.mark.parametrize(
    ("more", "words", "at"),
    [
        ({"name": " "}, "The name needs a value", "name"),
        ({"of0__what": "", "of1__what": "", "of2__name": ""}, "What is looked for needs a condition", "of0.what"),
        ({"of1__value": "many"}, "What is looked for is no number", "of1.value"),
        ({"of0__what": "kind:<script>"}, "What is looked for is not accepted", "of0.what"),
        ({"measure": "bogus"}, "What is measured is not accepted", "measure"),
        ({"measure": "time", "of0__what": "fact:abandoned", "of0__check": ""}, "has no moment of its own", "of0.what"),
        ({"features": "x" * 201}, "Features is too long", "features"),
        ({"of1__check": "over"}, "What is looked for unknown field", "of1.value"),
    ],
)
def test_what_is_wrong_is_said_beside_its_input_and_nothing_typed_is_lost(shop, now, more, words, at):
    html = unescape(post(shop.erin, PAGE + "new/", **FORM | more).content.decode())

    assert words in html
    assert f'<a href="#{at}">' in html
    assert 'value="EUR"' in html
    assert not Outcome.objects.exists()


def test_a_preview_shows_figures_and_saves_nothing(shop, now):
    fill(shop.project.pk)
    form = FORM | {
        "act": "preview",
        "of0__what": "kind:conversion",
        "of0__check": "",
        "among0__what": "",
        "features": "",
    }

    html = unescape(post(shop.erin, PAGE + "new/", **form).content.decode())

    assert "Nothing is saved yet" in html
    assert "over the 347 sessions that closed and began in the last 7 days" in html
    assert 'value="Good ends"' in html
    swap = shop.erin.post(
        PAGE + "new/", {key.replace("__", "."): value for key, value in form.items()}, headers={"HX-Request": "true"}
    ).content.decode()  # fmt: skip
    assert swap.lstrip().startswith('<section id="tried"')
    assert "95% CI" in swap
    wrong = shop.erin.post(PAGE + "new/", {"act": "preview", "measure": "share"}, headers={"HX-Request": "true"})
    assert "needs a condition" in wrong.content.decode()
    assert not Outcome.objects.exists()


def test_what_takes_too_long_says_so_with_advice(shop, now, monkeypatch):
    measuring.add_outcome(shop.project, "Sales", CONVERSION, by_id=None)
    run_jobs()

    def slow(*args, **kwargs):
        raise TooSlow

    monkeypatch.setattr(pages.read, "read_days", slow)
    monkeypatch.setattr(pages, "list_sessions", slow)
    monkeypatch.setattr(pages.measuring, "try_outcome", slow)
    for path in ("", "sales/", "sales/sessions/"):
        assert "This took too long" in read(shop.bob, PAGE + path, 503)
    form = FORM | {"act": "preview"}
    assert "The preview took too long" in post(shop.erin, PAGE + "new/", **form).content.decode()


def test_figures_say_that_definitions_have_changed(shop, now):
    measuring.add_outcome(shop.project, "Sales", CONVERSION, by_id=None)
    run_jobs()
    assert "is being looked at again" not in read(shop.bob)
    work.start(REFOLD, project_id=shop.project.pk)
    Job.objects.filter(kind=REFOLD).update(progress=10, total=40)

    for path in ("", "sales/"):
        html = read(shop.bob, PAGE + path)
        assert "What users did is being looked at again" in html
        assert "25% of it is done. Until then" in html


def test_an_outcome_put_away_can_be_taken_back(shop, now, monkeypatch):
    measuring.add_outcome(shop.project, "Sales", CONVERSION, by_id=None)
    assert "is put away" in post(shop.erin, PAGE + "sales/archive/").content.decode()
    assert "Put away" in read(shop.bob)
    assert "It is not counted" in read(shop.bob, PAGE + "sales/")
    assert shop.bob.get(PAGE + "sales/sessions/").status_code == 404
    assert "Sales is archived" in post(shop.erin, PAGE + "sales/recount/").content.decode()
    monkeypatch.setattr(measuring, "OUTCOMES_MAX", 0)
    assert "one outcome too many" in post(shop.erin, PAGE + "sales/archive/", restore="1").content.decode()
    monkeypatch.undo()
    assert "is back" in post(shop.erin, PAGE + "sales/archive/", restore="1").content.decode()


def test_what_senders_wrote_is_shown_as_text(shop, now):
    put_session(shop.project.pk, 1, feature="<b>\u202eevil")
    put_signal(shop.project.pk, 1, of=1, kind=Kind.OTHER, name="<script>alert(1)</script>")
    measuring.add_outcome(shop.project, "<i>Sales</i>", CONVERSION, by_id=None)
    run_jobs()

    for path in ("", "isalesi/", "isalesi/sessions/", "new/", "isalesi/edit/"):
        html = shop.erin.get(PAGE + path).content.decode()
        for bad in ("<i>Sales", "<script>alert", "<b>\u202e", "\u202e"):
            assert bad not in html, (path, bad)


def test_pages_ask_the_same_however_much_there_is(shop, now):
    def count(path):
        with CaptureQueriesContext(connection) as queries:
            read(shop.bob, PAGE + path)
        return len(queries)

    measuring.add_outcome(shop.project, "Sales", CONVERSION, by_id=None)
    run_jobs()
    paths = ("", "sales/", "sales/sessions/")
    before = [count(path) for path in paths]
    fill(shop.project.pk, n=60)
    for n in range(5):
        measuring.add_outcome(shop.project, f"More {n}", CONVERSION, by_id=None)
    run_jobs()

    assert [count(path) for path in paths] == before


def test_outcomes_are_read_and_defined_in_a_browser(project, page, alice, sign_in_browser, axe, monkeypatch):
    monkeypatch.setattr(measuring, "wake", lambda task: None)
    at, draw = clock.now() - timedelta(hours=3), random.Random(3)
    for n in range(1, 161):
        began = at - timedelta(hours=n)
        put_session(project.pk, n, at=began, feature="a-feature-of-a-long-name-" * 3 if n % 2 else "shop",
                    facts=Fact.COMPLETED if n % 2 else 0)  # fmt: skip
        put_signal(project.pk, n, of=n, at=began, number=draw.lognormvariate(3, 0.4))
    measuring.add_outcome(
        project, "Sales of a very long name that has to wrap somewhere", CONVERSION, slug="sales", by_id=None
    )
    for preset in ("cost-per-resolved-query", "order-value"):
        measuring.add_preset(project, preset, by_id=None)
    run_jobs()
    measuring.add_preset(project, "escalation", by_id=None)
    sign_in_browser(page, alice)
    some = ("sales/", "new/?preset=order-value")
    addresses = ("", "order-value/?t=7d", "escalation/", "sales/sessions/", *some)
    for scheme, width, visited in (("light", 1440, some), ("dark", 390, addresses)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        for address in visited:
            assert page.goto(PAGE + address).status == 200
            assert axe(page) == [], (address, scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)

    page.get_by_label("What", exact=True).first.select_option("kind:conversion")
    page.get_by_role("button", name="Preview").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Nothing is saved yet").wait_for()
    page.get_by_label("Name", exact=True).fill("Basket")
    page.get_by_role("button", name="Define it").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Basket is saved. The stored sessions are being counted.").wait_for()
    run_jobs()
    page.get_by_text("All stored sessions are counted").wait_for()
    page.get_by_role("link", name="Show the figures").click()
    page.get_by_role("heading", name="By feature").wait_for()
