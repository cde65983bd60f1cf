"""Every page with hostile values in every parameter that it takes: no 5xx, no internals, however odd the value."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.test import Client

from telltale.accounts.models import User
from telltale.projects import keys
from tests.telltale.access_table import PAGES
from tests.telltale.test_access_walk import KEY_SCOPES, _forget, _furnish

pytestmark = pytest.mark.django_db
INTERNALS = re.compile(r"Traceback|site-packages|psycopg|django\.|SELECT [a-z].* FROM [a-z]|DETAIL:")
# As they stand in an address: nothing, NUL, half of a character, bytes that are no text, markup, numbers beyond all
# types, moments that never were, other digits, lists and dots, long.
VALUES = (
    "", "%00", "%ED%A0%80", "%FF%FE", "%22%3E%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AE", "-1", "9" * 400, "1e309",
    "NaN", "2026-13-45T99:99:99Z", "0001-01-01", "9999-12-31T23:59:59.999999999Z", "%D9%A3%D9%A4", "..%2F..%2Fetc",
    "a" * 4_000, "%5B%7B%22a%22:1%7D%5D", "%25s%27%20OR%201=1--", "true,false,,null",
)  # fmt: skip
# Taken by many pages and not always linked to.
COMMON = ("q", "sort", "from", "to", "t", "limit", "cursor", "page", "by", "format", "v", "feature", "model", "version")


@pytest.fixture
def pages(project, alice, sign_in):
    """(client, addresses) of every page of a project with one of everything in it."""
    _forget()
    secret = keys.make_key(project, "walk", KEY_SCOPES).secret
    holder = Client(headers={"Authorization": f"Bearer {secret}"})
    ids = _furnish(project, User.objects.create(email="member@example.com"), holder, b"\x51" * 16)
    yield sign_in(alice), [ids.fill(route) for route, (get, _) in sorted(PAGES.items()) if get is not None]
    _forget()


def names_of(html, path):
    """The parameters that a page's own forms and links name."""
    found = set(re.findall(r'<(?:input|select|textarea)\b[^>]*\bname="([^"]{1,80})"', html))
    for link in re.findall(r'(?:href|hx-get|action)="([^"]*\?[^"]*)"', html):
        parts = urlsplit(link.replace("&amp;", "&"))
        if parts.path in ("", path):
            found |= {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    return sorted((found | set(COMMON)) - {"csrfmiddlewaretoken"})


def test_no_parameter_of_a_page_breaks_it(pages):
    client, addresses = pages
    wrong, asked = [], 0

    for at, path in enumerate(addresses):
        first = client.get(path)
        html = b"".join(first.streaming_content) if first.streaming else first.content
        names = names_of(html.decode("utf-8", "replace"), path)
        # Each page takes some of the values in all its parameters at once, its neighbours the others; then one
        # parameter takes one alone, for what is refused first hides what comes behind it.
        tries = [[(name, value) for name in names] for value in VALUES[at % 9 :: 9]]
        tries += [[(name, VALUES[(at + n) % len(VALUES)])] for n, name in enumerate(names) if n == at % len(names)]
        for pairs in tries:
            query = "&".join(f"{name}={value}" for name, value in pairs)
            answer = client.get(path, QUERY_STRING=query)
            asked += 1
            body = b"".join(answer.streaming_content) if answer.streaming else answer.content
            if answer.status_code >= 500:
                wrong.append(f"{path}?{query[:200]} answered {answer.status_code}")
            elif told := INTERNALS.search(body.decode("utf-8", "replace")):
                wrong.append(f"{path}?{query[:200]} told {told.group()!r}")
            elif b"<script>alert" in body:
                wrong.append(f"{path}?{query[:200]} gave markup back")

    assert wrong[:20] == []
    assert asked > 200
