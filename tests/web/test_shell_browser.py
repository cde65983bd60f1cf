"""The shell in a real browser: signing in, settings, keys, first run; light, dark, phone; zero axe violations."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe

from telltale.lib import clock
from telltale.projects.models import ApiKey, Invitation, Project, ProjectMember, Role
from telltale.projects.write import create_key, invite
from tests.web.looks import LOOKS, sign_in

pytestmark = pytest.mark.django_db(transaction=True)
OUTSIDE = ["/accounts/login/", "/accounts/password/reset/", "/accounts/signup/"]
INSIDE = ["/", "/projects/new/", "/organisations/example-ltd/", "/organisations/new/", "/p/shop/settings/",
          "/p/shop/settings/members/", "/p/shop/settings/keys/", "/p/shop/settings/keys/KEY/revoke/",
          "/p/shop/settings/keys/KEY/limit/", "/p/shop/settings/audit/",
          "/p/shop/welcome/", "/accounts/settings/", "/accounts/sessions/", "/accounts/2fa/",
          "/accounts/password/change/"]  # fmt: skip


def assert_fits_and_is_accessible(page):
    found = Axe().run(page).response["violations"]
    assert not found, [(v["id"], [n["html"] for n in v["nodes"][:3]]) for v in found]
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, f"the page is {wide} px wider than the screen"


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_is_accessible_and_fits(alice, open_page, look):
    key = create_key(Project.objects.get(slug="shop"), "shop-api", ("ingest",), by=alice).key
    invite(Project.objects.get(slug="shop"), "lena@example.com", Role.VIEWER, by=alice)
    page = open_page("/accounts/login/", **LOOKS[look])

    for path in OUTSIDE:
        page.goto(path)
        assert_fits_and_is_accessible(page)
    page.goto("/accounts/login/")
    sign_in(page, alice)
    for path in INSIDE:
        page.goto(path.replace("KEY", str(key.pk)))
        assert page.locator("h1").count() == 1, path
        assert_fits_and_is_accessible(page)


def test_a_person_signs_in_and_out(alice, open_page):
    page = open_page("/p/shop/settings/")
    page.fill("[name=login]", alice.email)
    page.fill("[name=password]", "wrong")
    page.click("button.primary")
    assert page.locator(".errsum").inner_text().endswith("The e-mail address or the password is not right.")
    assert page.evaluate("document.activeElement.className") == "errsum"
    assert_fits_and_is_accessible(page)

    sign_in(page, alice)
    assert page.url.endswith("/p/shop/settings/")
    page.click(".side-foot summary")
    page.click(".side-foot >> text=Sign out")

    assert page.url.endswith("/accounts/login/")


def test_signing_out_clears_the_other_tabs(alice, open_page):
    page = open_page("/p/shop/settings/")
    sign_in(page, alice)
    other = page.context.new_page()
    other.goto("/p/shop/settings/keys/")
    page.click(".side-foot summary")
    page.click(".side-foot >> text=Sign out")

    other.wait_for_url("**/accounts/login/**")
    assert "Shop" not in other.content()
    assert set(other.evaluate("Object.keys(localStorage)")) <= {"left", "theme", "used"}
    assert [tab.evaluate("sessionStorage.length") for tab in (page, other)] == [0, 0]
    assert other.evaluate("document.cookie") == ""


@pytest.mark.parametrize(("ends", "days"), [("unused", 7), ("in all", 14)])
def test_a_page_ends_with_its_session(alice, open_page, ends, days):
    page = open_page("/p/shop/settings/")
    page.clock.install()
    sign_in(page, alice)
    assert page.locator("body").get_attribute("data-idle") == str(7 * 86400)
    page.goto("/p/shop/settings/keys/?shown=x")
    steps = days if ends == "in all" else 1
    gone = []
    page.on("request", lambda request: gone.append(request.url) if "/accounts/login/" in request.url else None)

    for step in range(1, steps + 1):
        page.clock.fast_forward(days * 86_400_000 // steps - 60_000)
        assert gone == [], step
        if step < steps:
            page.evaluate("document.dispatchEvent(new Event('telltale:used'))")
    with page.expect_request("**/accounts/login/**") as asked:
        page.clock.fast_forward(20 * 60_000)

    assert asked.value.url.endswith("/accounts/login/?next=%2Fp%2Fshop%2Fsettings%2Fkeys%2F%3Fshown%3Dx")


def test_what_a_page_asks_by_itself_is_no_use(alice, open_page):
    page = open_page("/p/shop/welcome/")
    sign_in(page, alice)

    with page.expect_request("**/welcome/status/") as asked:
        page.wait_for_url("**/welcome/")

    assert asked.value.headers["x-unattended"] == "1"


def test_a_key_is_made_copied_and_revoked(alice, open_page):
    page = open_page("/p/shop/settings/keys/", permissions=["clipboard-read", "clipboard-write"])
    sign_in(page, alice)
    page.fill("[name=name]", "checkout-service")
    page.click("text=Create key")
    secret = page.locator("#newkey").inner_text()
    assert re.fullmatch(r"tt_sk_[0-9a-f]{48}", secret)
    assert_fits_and_is_accessible(page)

    page.click("[data-copy='#newkey']")
    page.wait_for_selector("text=Copied")
    assert page.evaluate("navigator.clipboard.readText()") == secret
    page.reload()
    page.goto("/p/shop/settings/keys/")
    assert secret not in page.content()
    page.click("text=Revoke")
    page.click("button.danger")

    assert "is revoked" in page.locator(".messages").inner_text()
    assert ApiKey.objects.filter(revoked_at=None).count() <= 1


def test_settings_are_changed_and_mistakes_named(alice, open_page):
    page = open_page("/p/shop/settings/")
    sign_in(page, alice)
    page.fill("[name=retention_days]", "30")
    page.select_option("[name=time_zone]", "Europe/Stockholm")
    page.fill("[name=rule-0-pattern]", "checkout*")
    page.click("text=Save changes")
    assert "Name the feature this pattern belongs to" in page.locator(".errsum").inner_text()
    assert page.input_value("[name=rule-0-pattern]") == "checkout*"
    assert_fits_and_is_accessible(page)

    page.fill("[name=rule-0-feature]", "checkout")
    page.click("text=Save changes")

    assert "Settings saved" in page.locator(".messages").inner_text()
    shop = Project.objects.get(slug="shop")
    assert (shop.retention_days, shop.time_zone, len(shop.feature_rules)) == (30, "Europe/Stockholm", 1)


def test_a_role_changes_by_choosing_it(alice, open_page):
    bob = type(alice).objects.create_user("bob@example.com", None)
    ProjectMember.objects.create(project=Project.objects.get(slug="shop"), user=bob, role="viewer")
    page = open_page("/p/shop/settings/members/")
    sign_in(page, alice)

    page.select_option("[aria-label='Role of bob@example.com']", "engineer")

    page.wait_for_selector("text=bob@example.com is Engineer now.")
    assert ProjectMember.objects.get(user=bob).role == "engineer"


def test_an_invited_person_joins(alice, open_page):
    page = open_page("/p/shop/settings/members/")
    sign_in(page, alice)
    page.fill("[name=email]", "lena@example.com")
    page.select_option("form.card [name=role]", "reviewer")
    page.click("text=Make link")
    link = page.locator("#invitation").inner_text()
    assert_fits_and_is_accessible(page)

    lena = open_page("/join/" + link.split("/join/")[1])
    assert_fits_and_is_accessible(lena)
    lena.fill("[name=name]", "Lena")
    lena.fill("[name=password]", "a long password 3")
    lena.click("button.primary")

    lena.wait_for_selector("text=You are Reviewer of Shop now.")
    assert Invitation.objects.get().accepted_at is not None


def test_welcome_turns_live_without_a_reload(alice, open_page):
    page = open_page("/p/shop/welcome/")
    sign_in(page, alice)
    page.click("text=Make a key")
    secret = page.locator("#k1").inner_text()
    page.click("text=Python >> nth=0")
    assert secret in page.locator("#s-python").inner_text()
    assert not page.locator("#s-curl").is_visible()
    assert_fits_and_is_accessible(page)

    Project.objects.filter(slug="shop").update(first_span_at=clock.now())

    page.wait_for_selector("text=Open your traces")
    assert secret in page.content(), "the key is still there: the page was not loaded again"
    assert page.locator("#live").inner_text() == "The first trace has arrived"


def test_the_theme_is_kept(alice, open_page):
    page = open_page("/")
    sign_in(page, alice)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.click(".side-foot [data-theme-toggle]")
    page.goto("/projects/new/")

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


def test_keys_move_open_and_explain(alice, open_page):
    page = open_page("/")
    sign_in(page, alice)

    page.keyboard.press("?")
    assert page.locator("dialog#keys").is_visible()
    assert_fits_and_is_accessible(page)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    page.wait_for_url("**/p/shop/welcome/")


def test_skip_link_leads_past_the_sidebar(alice, open_page):
    page = open_page("/")
    sign_in(page, alice)

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


def test_everything_works_without_scripts(alice, open_page):
    page = open_page("/p/shop/settings/keys/", java_script_enabled=False)
    page.fill("[name=login]", alice.email)
    page.fill("[name=password]", alice.typed_password)
    page.click("button.primary")
    page.fill("[name=name]", "notebook")
    page.click("text=Create key")

    assert page.locator("#newkey").inner_text().startswith("tt_sk_")


def test_the_phone_bar_reaches_everything(alice, open_page):
    page = open_page("/p/shop/settings/", **LOOKS["phone"])
    sign_in(page, alice)

    page.click(".tabbar summary")
    assert page.locator(".tabbar .more >> text=Your account").is_visible()
    assert_fits_and_is_accessible(page)
    heights = page.eval_on_selector_all(".tabbar > a", "all => all.map(a => a.getBoundingClientRect().height)")

    assert min(heights) >= 44
