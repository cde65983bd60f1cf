"""Sessions and users in a real browser: light, dark, phone, by keyboard, without scripts."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import LOOKS, forget_stored
from tests.web.test_browser_traces import call, send, span
from traces.folding import fold_roll_ups
from traces.pages.addresses import write_id

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/p/shop/sessions/"
USERS = "/p/shop/users/"
ATTACK = "<script>document.title='owned'</script>\u202e{{7*7}}"


def hex_id(n):
    return f"{n:032x}"


@pytest.fixture
def shop(alice):
    """A talk of three turns, a long one, a shared one, one of a stranger's making."""
    forget_stored()
    key = keys.make_key(Project.objects.get(slug="shop"), "browser", ("ingest",)).secret

    def turn(n, session, user, at_ms, **more):
        return call(
            hex_id(n), f"{n:016x}", at_ms=at_ms, ms=900,
            attributes={"session.id": session, "user.id": user, "telltale.feature": "returns"}, **more,
        )  # fmt: skip

    send(key, turn(1, "s_1", "ada", 1000, said="May I return a gift?", answered="Yes, within 60 days."))
    send(key, turn(2, "s_1", "ada", 4000, said="Even opened?", answered="Opened ones too."))
    send(key, turn(3, "s_1", "ada", 9000, said="Thanks", answered="Welcome", status={"code": 2}))
    send(key, turn(4, "shared", "bob", 3000, said="Hello", answered="Hi"), turn(5, "shared", "eve", 3500))
    send(key, turn(6, ATTACK, ATTACK, 2000, said=ATTACK, answered=ATTACK))
    send(key, *(turn(100 + n, "long", "ada", 20_000 + n * 10, said=f"question {n}") for n in range(60)))
    send(key, span(hex_id(7), "7" * 16, name="silent", attributes={"session.id": "mute", "user.id": "ada"}))
    while fold_roll_ups().traces:
        pass
    yield alice
    keys.cache.clear()


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_accessible_and_fits(enter, look):
    page = enter(PAGE, **LOOKS[look])
    odd = write_id(ATTACK)
    paths = [
        PAGE, PAGE + "?status=error&turns.min=2", PAGE + "?user=nobody", PAGE + "?turns.min=x", PAGE + "s_1/",
        PAGE + "shared/", PAGE + "long/", PAGE + "long/?last=1", PAGE + "mute/", f"{PAGE}{odd}/", USERS,
        USERS + "?requests.min=99", USERS + "ada/", f"{USERS}{odd}/", USERS + "ada/?from=2020-01-01&to=2020-01-02",
    ]  # fmt: skip

    for path in paths:
        page.goto(path)
        found = Axe().run(page).response["violations"]
        assert not found, (path, [(v["id"], [n["html"] for n in v["nodes"][:3]]) for v in found])
        assert page.locator("h1").count() == 1, path
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"{path} is {wide} px wider than the screen"
        assert page.title() != "owned"


def test_from_the_list_by_keyboard_into_a_session_and_on_to_the_next(enter):
    page = enter(PAGE + "?user=ada")

    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    page.wait_for_selector("#said")
    first = page.locator("h1").inner_text()
    page.keyboard.press("j")
    page.wait_for_function("before => document.querySelector('h1').innerText != before", arg=first)

    assert "user=ada" in page.url


def test_a_filter_is_added_by_the_form_and_taken_back_by_its_chip(enter):
    page = enter(PAGE)

    page.click("summary:has-text('Filter')")
    page.select_option("#fd", "turns")
    page.select_option("#fo", "min")
    page.fill("#fv", "3")
    page.click("button:has-text('Add filter')")
    page.wait_for_url("**turns.min=3**")
    assert set(page.locator("a.rowlink").all_inner_texts()) == {"question 0", "May I return a gift?"}

    page.click("a[aria-label^='Remove filter Turns']")
    page.wait_for_url(lambda url: "turns" not in url)
    assert page.locator("a.rowlink").count() == 5


def test_a_conversation_reads_without_scripts_page_by_page(enter):
    page = enter(PAGE, java_script_enabled=False)

    page.click("a.rowlink:has-text('question 0')")
    assert page.locator("article.turn").count() == 50
    page.click("text=Later")
    assert page.locator("article.turn").count() == 10
    assert "question 59" in page.locator("article.turn").last.inner_text()
    page.click("article.turn >> nth=0 >> text=Open trace")
    assert "question 50" in page.locator("h1").inner_text()
    page.click("a:has-text('long')")
    assert "question 50" in page.locator("article.turn").first.inner_text()
