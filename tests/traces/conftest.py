"""People, a project and its keys, as every test of this room knows them."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace

import orjson
import pytest
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.projects import keys
from telltale.projects.models import Project, ProjectMember
from traces.ingest.rules import forget as forget_rules
from traces.pages import export
from traces.write import partitions, spans


@pytest.fixture(autouse=True)
def room_for_files(monkeypatch):
    """Files that a test asks for and does not read to their end take no room from the next test's."""
    monkeypatch.setattr(export, "_slots", threading.BoundedSemaphore(export.AT_A_TIME))


def make_project(slug, owner=None):
    organisation = Organisation.objects.create(name=f"{slug} Ltd", slug=f"{slug}-ltd")
    if owner:
        OrganisationMember.objects.create(organisation=organisation, user=owner, is_owner=True)
    return Project.objects.create(organisation=organisation, name=slug.title(), slug=slug)


def signed_in(user):
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def shop(db):
    """Project `shop` of alice (owner), with bob (viewer) and erin (admin); charlie owns `elsewhere`."""
    keys.cache.clear()
    alice, bob, charlie, erin = (
        User.objects.create(email=f"{name}@example.com", name=name.title())
        for name in ("alice", "bob", "charlie", "erin")
    )
    project = make_project("shop", alice)
    ProjectMember.objects.create(project=project, user=bob, role="viewer")
    ProjectMember.objects.create(project=project, user=erin, role="admin")
    elsewhere = make_project("elsewhere", charlie)

    def key(scopes, of=project):
        made = keys.make_key(of, "test", tuple(scopes.split()))
        return {"Authorization": f"Bearer {made.secret}"}

    yield SimpleNamespace(
        project=project,
        elsewhere=elsewhere,
        alice=signed_in(alice),
        bob=signed_in(bob),
        charlie=signed_in(charlie),
        erin=signed_in(erin),
        nobody=Client(),
        key=key,
        people=SimpleNamespace(alice=alice, bob=bob, charlie=charlie, erin=erin),
    )
    keys.cache.clear()


class Otlp:
    """Sends OTLP/JSON spans to a project through the public door."""

    def __init__(self, shop):
        self.shop = shop
        self.start_ns = time.time_ns() - 600 * 10**9

    def span(self, trace, span, parent=None, name="step", *, at_ms=0, ms=100, attributes=None, **more):
        start = self.start_ns + int(at_ms * 10**6)
        made = {
            "traceId": trace, "spanId": span, "name": name, "kind": 1, "startTimeUnixNano": str(start),
            "endTimeUnixNano": str(start + int(ms * 10**6)),
            "attributes": [{"key": key, "value": self.value(value)} for key, value in (attributes or {}).items()],
            **more,
        }  # fmt: skip
        return made | ({"parentSpanId": parent} if parent else {})

    def value(self, value):
        name = {bool: "boolValue", int: "intValue", float: "doubleValue"}.get(type(value), "stringValue")
        return {name: str(value) if name == "intValue" else value}

    def message(self, role, text):
        return orjson.dumps([{"role": role, "parts": [{"type": "text", "content": text}]}]).decode()

    def send(self, *spans, scope="test", resource=None, project=None):
        body = {"resourceSpans": [{
            "resource": {"attributes": [{"key": k, "value": self.value(v)} for k, v in (resource or {}).items()]},
            "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
        }]}  # fmt: skip
        key = self.shop.key("ingest", of=project or self.shop.project)
        answer = self.shop.nobody.post("/v1/traces", body, "application/json", headers=key)
        assert (answer.status_code, answer.content) == (200, b"{}")
        return spans[0]["traceId"]

    def generation(self, trace, span, parent=None, name="chat", *, said="hello", answered="hi there", **more):
        attributes = {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 0, "gen_ai.usage.output_tokens": 100,
            "gen_ai.input.messages": self.message("user", said),
            "gen_ai.output.messages": self.message("assistant", answered),
        } | more.pop("attributes", {})  # fmt: skip
        return self.span(trace, span, parent, name, attributes=attributes, **more)


@pytest.fixture
def otlp(shop):
    """A sender for `shop`, with everything forgotten that the store remembers between requests."""
    partitions.forget()
    spans.forget()
    forget_rules()
    return Otlp(shop)
