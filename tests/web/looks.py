"""How the browser tests look at pages: the screens, signing in, and a store that remembers nothing of other tests."""

from __future__ import annotations

from telltale.projects import keys
from traces.ingest.rules import forget as forget_rules
from traces.write import partitions, rollup_memory, spans

LOOKS = {
    "light": {"viewport": {"width": 1440, "height": 900}},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}
EVERY_LOOK = LOOKS | {"without scripts": LOOKS["light"] | {"java_script_enabled": False}}


def sign_in(page, person):
    """Fill in the form of the login page that is open."""
    page.fill("[name=login]", person.email)
    page.fill("[name=password]", person.typed_password)
    page.click("button.primary")
    page.wait_for_selector("aside.side", state="attached")


def fits(page):
    """Whether nothing is wider than the screen."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def forget_stored():
    """Let every process-wide memory of keys, partitions and rules begin anew."""
    keys.cache.clear()
    partitions.forget()
    spans.forget()
    forget_rules()
    rollup_memory.forget()
