"""What the masking page says of rules and texts it does not take: the place in the form, the limit, what came."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/settings/masking/"


@pytest.mark.parametrize(
    ("address", "typed", "says"),
    [
        (PAGE, {"patterns": "one = a+\n2bad = ("}, '<a href="#f-patterns">Pattern 2, name</a>'),
        (PAGE, {"patterns": "one = a+\n2bad = ("}, '<a href="#f-patterns">Pattern 2, expression</a>'),
        (PAGE, {"features": "checkout = never"}, '<a href="#f-features">Feature 1, what becomes of it</a>'),
        (PAGE + "try/", {"text": ""}, '<a href="#f-text">The text to try</a> is empty: there is nothing to try'),
        (PAGE + "try/", {"text": "x" * 20_001}, "20,001 characters"),
    ],
)
def test_what_is_refused_is_found_in_the_form(shop, address, typed, says):
    answer = shop.erin.post(address, {"mode": "mask", **typed})

    assert answer.status_code == 400
    assert says in answer.content.decode()
    assert f'id="f-{next(iter(typed))}" aria-invalid="true"' in answer.content.decode()
