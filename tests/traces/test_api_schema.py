"""The OpenAPI document is whole, and every answer keeps to it, whatever is thrown at it."""

from __future__ import annotations

import io
import re

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from telltale.rest.schema import document
from telltale.wsgi import application


def test_the_document_builds_without_a_warning_and_is_valid():
    out = io.StringIO()

    call_command("spectacular", "--fail-on-warn", "--validate", stdout=out)

    assert "/api/v1/traces" in out.getvalue()


def test_every_address_below_the_api_is_described():
    from django.urls import get_resolver

    described = set(document()["paths"])
    patterns = {
        re.sub(r"<\w+:(\w+)>", r"{\1}", f"/api/v1/{pattern.pattern}")
        for resolver in get_resolver().url_patterns
        if str(resolver.pattern) == "api/v1/"
        for pattern in resolver.url_patterns
    }

    assert patterns <= described
    assert {"/v1/traces", "/v1/logs", "/v1/metrics"} <= described


def test_every_method_has_a_name_a_tag_and_its_refusals():
    names = []
    for path, methods in document()["paths"].items():
        for method, told in methods.items():
            names.append(told["operationId"])
            assert told["tags"], (path, method)
            assert {"400", "401", "403"} <= set(told["responses"]), (path, method)
    assert len(names) == len(set(names))


@pytest.mark.django_db
def test_the_document_is_served_as_json_and_yaml():
    json = Client().get("/api/schema/")
    as_yaml = Client().get("/api/schema/?format=yaml")

    assert json["Content-Type"] == "application/vnd.oai.openapi+json"
    assert as_yaml["Content-Type"].startswith("application/vnd.oai.openapi")
    assert json.json()["openapi"].startswith("3.")
    assert yaml.safe_load(as_yaml.content) == json.json()


schemathesis.serializer.alias(["application/x-ndjson", "application/jsonl"], "application/json")
schema = schemathesis.openapi.from_wsgi("/api/schema/", application)
rest = schema.include(path_regex="^/api/v1/")


@pytest.fixture
def everything(shop):
    """A key of every scope: what a request may reach is then only bounded by what it says."""
    # As Django's own test client does: the test's transaction must outlive the request.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield shop.key("ingest signal read write admin")
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@rest.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_no_request_breaks_the_server_or_the_document(case, everything):
    response = case.call(headers=everything)

    checks = [not_a_server_error]
    if not (case.method == "POST" and case.path == "/api/v1/traces"):
        checks += [response_schema_conformance, status_code_conformance]
    case.validate_response(response, checks=checks)
