"""Reviewing in a real browser: by keyboard alone, by two at once, without scripts, on a phone, by anybody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe

from evals.models import Review, ReviewItem
from evals.reviewing.filling import add_by_hand
from telltale.accounts.models import User
from telltale.projects.models import Project, ProjectMember
from tests.evals.review_rows import judged, make_judge, make_queue, make_rubric, send_traces
from tests.web.looks import EVERY_LOOK, LOOKS, fits, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/p/shop/review/"
NEXT = (
    "(old) => { const i = document.querySelector('form[data-review] input[name=item]'); return i && i.value !== old; }"
)
REASON = "The 60-day window is in no source."


@pytest.fixture
def shop(alice):
    """A queue of 24 answers that a judge flagged, reviewed blind."""
    project = Project.objects.get(slug="shop")
    version = make_judge(project, make_rubric(project))
    queue = make_queue(project, "Flagged answers", judge="quality")
    triage = make_queue(project, "Triage", judge="quality", is_blind=False, kind="rules", config={"rules": ["flagged"]})
    for trace_id in send_traces(project, 24, session="s-1"):
        judged(project, version, trace_id, {"correctness": 2, "tone": 5}, reason=REASON, flagged=True,
               evidence=["within 60 days"], at=datetime.now(UTC))  # fmt: skip
        add_by_hand(project, queue, trace_id, 0, "Alice")
        add_by_hand(project, triage, trace_id, 0, "Alice")
    return alice


def item_of(page):
    return int(page.get_attribute("form[data-review] input[name=item]", "value"))


def test_twenty_reviews_by_keyboard_alone(enter):
    page = enter(f"{PAGE}?queue=flagged-answers")
    seen = []

    for at in range(20):
        page.wait_for_selector("form[data-review]")
        seen.append(item_of(page))
        page.keyboard.press("1" if at % 2 else "2")
        for digit in ("3", "4", "1"):
            page.keyboard.press(digit)
        if at == 0:
            page.keyboard.press("n")
            page.keyboard.type("1 of 20: the dates are wrong")
            page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        page.wait_for_function(NEXT, arg=str(seen[-1]))

    assert len(set(seen)) == 20
    reviews = list(Review.objects.order_by("pk"))
    assert [review.item_id for review in reviews] == seen
    assert [review.verdict for review in reviews] == ["good", "failure"] * 10
    assert reviews[0].note == "1 of 20: the dates are wrong"
    assert all(review.was_blind and review.seconds is not None for review in reviews)
    assert "20 of 24 answers reviewed" in page.inner_text("h1")


def test_skip_undo_help_and_the_list_by_keyboard(enter):
    page = enter(f"{PAGE}?queue=flagged-answers")
    page.wait_for_selector("form[data-review]")
    first = item_of(page)

    page.keyboard.press("s")
    page.wait_for_function("(old) => document.querySelector('[name=item]').value !== old", arg=str(first))
    assert Review.objects.get().is_skip
    page.keyboard.press("u")
    page.wait_for_function(
        "(old) => document.querySelector('form[data-review] [name=item]').value === old", arg=str(first)
    )
    page.keyboard.press("?")
    assert page.is_visible("#review-keys")
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.matches('[data-item]')")
    page.keyboard.press("Enter")
    page.wait_for_function(NEXT, arg=str(first))

    assert ReviewItem.objects.exclude(leased_until=None).count() == 1


def test_two_browsers_of_two_people_never_get_the_same_item(enter, open_page):
    rita = User.objects.create_user("rita@example.com", "correct horse battery 2", name="Rita")
    rita.typed_password = "correct horse battery 2"
    ProjectMember.objects.create(project=Project.objects.get(slug="shop"), user=rita, role="reviewer")
    hers = open_page("/accounts/login/")
    sign_in(hers, rita)
    pages = [enter(f"{PAGE}?queue=flagged-answers"), hers]
    hers.goto(f"{PAGE}?queue=flagged-answers")
    seen = [[], []]

    for _ in range(4):
        for page, mine in zip(pages, seen, strict=True):
            page.wait_for_selector("form[data-review]")
            mine.append(item_of(page))
        held = set(ReviewItem.objects.exclude(leased_until=None).values_list("pk", "leased_by__email"))
        assert held == {(seen[0][-1], "alice@example.com"), (seen[1][-1], "rita@example.com")}
        # Both at once: neither waits for the other's answer.
        for page in pages:
            page.keyboard.press("2")
        for page in pages:
            page.keyboard.press("Enter")
        for page, mine in zip(pages, seen, strict=True):
            page.wait_for_function(NEXT, arg=str(mine[-1]))

    assert len(set(seen[0] + seen[1])) == 8
    for person, mine in zip(("alice", "rita"), seen, strict=True):
        said = Review.objects.filter(reviewer__email=f"{person}@example.com").order_by("pk")
        assert list(said.values_list("item_id", flat=True)) == mine


def test_a_key_that_is_held_or_pressed_twice_acts_once(enter):
    page = enter(f"{PAGE}?queue=flagged-answers")
    for _ in range(2):
        page.wait_for_selector("form[data-review]")
        item = item_of(page)
        page.keyboard.press("2")
        # Down again and again: what a keyboard sends while the key is held.
        for _ in range(5):
            page.keyboard.down("Enter")
        page.wait_for_function(NEXT, arg=str(item))
        page.keyboard.down("Enter")
        page.keyboard.down("2")
        page.keyboard.down("2")
        page.keyboard.up("Enter")
        page.keyboard.up("2")
    assert Review.objects.count() == 2

    page.evaluate("for (let n = 0; n < 3; n++) document.getElementById('undo').click()")
    page.wait_for_function("(old) => document.querySelector('[name=item]').value === old", arg=str(item))

    assert Review.objects.filter(undone_at=None).count() == 1
    assert item_of(page) == item


@pytest.mark.parametrize("look", list(LOOKS))
def test_every_page_is_accessible_and_fits(enter, look):
    page = enter(f"{PAGE}?queue=triage", **EVERY_LOOK[look])
    page.wait_for_selector("form[data-review]")
    held = page.url
    item = ReviewItem.objects.filter(queue__slug="triage").order_by("pk").last().pk
    for path in (
        held, f"{PAGE}?queue=triage&item={item}", f"{PAGE}queues/", f"{PAGE}triage/", f"{PAGE}new/",
        f"{PAGE}triage/edit/", f"{PAGE}flagged-answers/?state=done",
    ):  # fmt: skip
        assert page.goto(path).status == 200
        page.wait_for_load_state()
        assert fits(page), path
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], path
        found = Axe().run(page).response["violations"]
        assert [f"{v['id']}: {node['html'][:160]}" for v in found for node in v["nodes"]] == [], path


def test_without_scripts_it_is_done_by_hand(enter):
    page = enter(f"{PAGE}?queue=triage", **EVERY_LOOK["without scripts"])

    page.click("button:text('Start')")
    assert REASON in page.inner_text("main")
    page.click(".vb:has-text('Real failure')")
    page.click(".scale:has-text('Correctness') .pips label:has-text('1')")
    page.click("button:text('Save and next')")
    assert "1 of 24 answers reviewed" in page.inner_text("h1")
    page.click("button:text('Undo')")

    assert "0 of 24 answers reviewed" in page.inner_text("h1")


def test_a_verdict_with_the_thumb(enter):
    page = enter(f"{PAGE}?queue=flagged-answers", **EVERY_LOOK["phone"])
    page.wait_for_selector("form[data-review]")

    page.tap(".vb:has-text('Fine')")
    page.tap("#save")
    page.wait_for_selector("text=1 of 24 answers reviewed")

    assert Review.objects.get().verdict == "good"
