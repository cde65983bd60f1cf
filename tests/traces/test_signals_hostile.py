"""What hostile senders put into signals costs their own signals alone."""

from __future__ import annotations

import pytest

from tests.traces.signal_door import rows, send
from traces import signalling

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_names():
    signalling.forget()


@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000", "", "x" * 5000])
def test_a_field_of_any_name_costs_its_own_signal_alone(shop, name):
    body = f'[{{"name":"retry","session_id":"s"}},{{"name":"retry","session_id":"t","{name}":1}}]'

    answer = send(shop.nobody, body.encode(), shop.key("signal"))

    assert [item["status"] for item in answer["items"]] == ["accepted", "rejected"]
    assert answer["items"][1]["errors"][0]["message"] == "unknown field"
    assert rows(shop.project.pk, "session_id") == ["s"]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_what_is_no_number_is_no_value_beside_halves_of_characters_either(shop, number):
    body = (
        '[{"name":"rating","value":4,"session_id":"s","comment":"\\ud83d"},'
        f'{{"name":"rating","value":{number},"session_id":"t"}}]'
    )

    answer = send(shop.nobody, body.encode(), shop.key("signal"))

    assert [item["status"] for item in answer["items"]] == ["accepted", "rejected"]
    assert answer["items"][1]["errors"][0]["field"] == "value"
    assert rows(shop.project.pk, "value_number", "value_label", "comment") == [(4.0, None, "\ufffd")]
