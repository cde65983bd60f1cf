"""What forms of accounts say: the browser in words, the rule beside a new password, errors that say what to do."""

from __future__ import annotations

import pytest

from telltale.accounts.browsers import UNKNOWN, browser_words

pytestmark = pytest.mark.django_db
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (CHROME, "Chrome on Linux"),
        (CHROME + " Edg/140.0", "Edge on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Firefox/143.0", "Firefox on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E148 Safari/604.1",
         "Safari on an iPhone"),
        ("curl/8.5.0", "curl"),
        ("x" * 400, "x" * 60),
        ("", UNKNOWN),
    ],
)  # fmt: skip
def test_a_browser_is_named_in_words(agent, words):
    assert browser_words(agent) == words


def test_a_new_password_has_its_rule_beside_it_and_no_list_in_a_line(house):
    page = house.sign_in("alice").get("/accounts/password/change/").content.decode()

    if "New password" not in page:
        page = house.sign_in("alice").get("/accounts/password/set/").content.decode()
    assert "At least 10 characters. Not one that leaked elsewhere" in page
    assert "placeholder" not in page
    assert "<ul>" not in page
