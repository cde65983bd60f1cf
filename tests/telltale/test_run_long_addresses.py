"""Addresses as long as the product itself writes them, through the real web process."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest

from traces.saved_views import QUERY_MAX

pytestmark = [pytest.mark.django_db(transaction=True)]


def test_the_longest_saved_view_is_no_address_too_long(live):
    query = "q=" + "x" * (QUERY_MAX - 2)

    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(f"{live}/api/v1/projects/{'p' * 60}/?{query}", timeout=20)

    told.value.close()
    assert told.value.code == 404


def test_a_longer_address_is_refused_and_told_its_limit(live):
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(f"{live}/healthz?{'x' * 9000}", timeout=20)

    with told.value:
        assert (told.value.code, b"8190" in told.value.read()) == (414, True)
