"""Requests that follow each other as the document's links say: made, listed, changed, removed, and gone afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    ensure_resource_availability,
    response_schema_conformance,
    status_code_conformance,
    use_after_free,
)

from telltale.lib import clock
from telltale.rest.schema import document
from telltale.wsgi import application

BRIEF = {"key": "brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}
# What makes a thing; {n} is another number each time. Nothing answers at these addresses: nobody is asked.
MADE_BY = {
    "budgets": {"name": "Month {n}", "of": "project", "limit_usd": "100"},
    "channels": {"name": "On call {n}", "kind": "webhook", "url": "https://hooks.invalid/"},
    "connections": {"name": "House {n}", "kind": "openai", "base_url": "https://model.invalid/v1"},
    "datasets": {"name": "Set {n}", "slug": "set-{n}"},
    "forwarding": {"name": "Tempo {n}", "url": "https://target.invalid/"},
    "monitors": {"name": "Errors {n}", "metric": "errors"},
    "outcomes": {"name": "Sales {n}", "spec": {"measure": "share", "of": [{"kind": "conversion"}]}},
    "prices": {"model": "house-{n}", "input_fresh": "1.5", "output_text": "2", "source": "invoice"},
    "rubrics": {"name": "Format {n}", "slug": "format-{n}", "spec": {"criteria": [BRIEF]}},
    "silences": {"end_at": "{tomorrow}", "reason": "Deploy {n}"},
    "views": {"name": "Shared {n}", "is_shared": True},
}
# Removing one puts it away: what it did can still be read.
PUT_AWAY = ("budgets", "channels", "monitors", "outcomes", "prices", "silences")
CHECKS = [
    not_a_server_error, response_schema_conformance, status_code_conformance, use_after_free,
    ensure_resource_availability,
]  # fmt: skip
schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


@pytest.fixture
def everything(shop):
    """A key of every scope. The test's transaction outlives its requests, as with Django's own client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield shop.key("ingest signal read write admin")
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def test_links_lead_to_operations_that_are_there_and_take_what_they_give():
    paths = document()["paths"]
    operations = {
        told["operationId"]: {each["name"] for each in told.get("parameters", ()) if each["in"] == "path"}
        for methods in paths.values()
        for told in methods.values()
    }
    links = [
        (link["operationId"], link["parameters"])
        for methods in paths.values()
        for told in methods.values()
        for answer in told["responses"].values()
        for link in answer.get("links", {}).values()
    ]

    assert len(links) > 300
    assert [link for link in links if operations[link[0]] != set(link[1])] == []
    linked = {name for name, _ in links}
    assert {"change_a_dataset", "remove_a_rubric"} & operations.keys() <= linked


def numbered(body, n):
    """A body with another number in its texts, and with the day after now."""
    told = {"{n}": str(n), "{tomorrow}": (clock.now() + timedelta(days=1)).isoformat()}
    made = dict(body)
    for place, text in told.items():
        made |= {name: value.replace(place, text) for name, value in made.items() if isinstance(value, str)}
    return made


@pytest.mark.parametrize("resource", sorted(MADE_BY))
def test_what_is_made_is_there_until_it_is_removed(resource, everything):
    followed = []

    class Flow(schema.include(path_regex=f"^/api/v1/{resource}(/|$)").as_state_machine()):
        def before_call(self, case):
            # The key says which project; what is generated to make a thing hardly ever makes one.
            case.query = {name: value for name, value in (case.query or {}).items() if name != "project"}
            if (case.method, case.path) == ("POST", f"/api/v1/{resource}"):
                case.query, case.body = {}, numbered(MADE_BY[resource], len(followed))

        def get_call_kwargs(self, case):
            return {"headers": everything}

        def after_call(self, response, case):
            super().after_call(response, case)
            followed.append((case.method, case.path, response.status_code))

        def validate_response(self, response, case, additional_checks=None, **more):
            checks = [each for each in CHECKS if each is not use_after_free or resource not in PUT_AWAY]
            case.validate_response(response, checks=checks, transport_kwargs=more, recorder=self.recorder)

    run_state_machine_as_test(
        Flow,
        settings=settings(
            max_examples=5,
            stateful_step_count=10,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

    made = [path for method, path, status in followed if method == "POST" and status == 201 and "{" not in path]
    reached = [path for _, path, status in followed if status < 400 and "{" in path]
    assert made
    assert reached
