"""The list of projects says what each did in the last day, from traces that came in by the real door."""

from __future__ import annotations

import ast
import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from telltale.lib import clock
from telltale.projects.models import Project
from telltale.projects.snippets import native_body, otlp_body, snippets
from telltale.projects.write import create_key
from telltale.web.overview import overview_cards
from tests.alerts.incident_kit import incident_of
from tests.web.front_kit import watched
from traces.read.overview import read_overviews

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def send(alice):
    """Sends a body with an ingest key of `shop`."""
    secret = create_key(Project.objects.get(slug="shop"), "k", ("ingest",)).secret

    def post(path, body):
        headers = {"Authorization": f"Bearer {secret}"}
        return Client(headers=headers).post(path, json.dumps(body), content_type="application/json")

    return post


def card():
    return overview_cards([Project.objects.get(slug="shop")])[0]


def test_a_project_that_waits_shows_no_zero(alice):
    assert (card().word, card().traces, card().cost) == ("Waiting for the first trace", "none", "none")


@pytest.mark.parametrize(
    ("path", "body"), [("/api/v1/traces", native_body), ("/v1/traces", otlp_body)], ids=["native", "otlp"]
)
def test_the_snippets_of_the_welcome_page_arrive(send, path, body):
    answer = send(path, body(clock.now()))

    assert answer.status_code == 200, answer.content
    shop = Project.objects.get(slug="shop")
    assert shop.first_span_at is not None
    assert (card().word, card().traces, card().errors) == ("Receiving", "1", "0")
    assert card().cost == "under $0.0001", "18 and 11 tokens of a model that the shipped book prices"


def test_the_snippets_are_whole_commands():
    made = {s.key: s.code for s in snippets("https://telltale.example", "tt_sk_x", clock.now())}

    assert set(made) == {"curl", "otlp", "python", "sdk"}
    assert all("https://telltale.example" in code and "tt_sk_x" in code for code in made.values())
    ast.parse(made["python"])
    ast.parse(made["sdk"])
    for way in ("curl", "otlp"):
        assert json.loads(made[way].split("-d '", 1)[1].removesuffix("'"))
        assert made[way].count("'") == 6


def test_traces_of_yesterday_are_not_of_the_last_day(send):
    send("/api/v1/traces", native_body(clock.now() - timedelta(hours=30)))

    assert (card().word, card().traces, card().cost) == ("Quiet for a day", "0", "none")


def test_an_unpriced_call_is_not_zero(send):
    send("/api/v1/traces", {**native_body(clock.now()), "model": "our-own-model-7"})
    assert card().cost == "unpriced"

    send("/api/v1/traces", native_body(clock.now()))
    assert (card().cost, card().unpriced) == ("under $0.0001", "1 call unpriced")


def test_a_busy_project_is_counted_no_further_than_the_cap(send):
    for _ in range(4):
        send("/api/v1/traces", native_body(clock.now()))
    shop, now = Project.objects.get(slug="shop"), clock.now()

    seen = read_overviews([shop.pk], now - timedelta(hours=1), now + timedelta(hours=1), most=3)[shop.pk]

    assert (seen.traces, seen.is_capped, seen.cost_state) == (3, True, "at_least")


def test_the_list_asks_the_same_number_of_questions_for_any_number_of_projects(inside, alice):
    def queries():
        with CaptureQueriesContext(connection) as held:
            inside.get("/")
        return len(held)

    organisation = Project.objects.get(slug="shop").organisation
    inside.get("/")
    few = queries()
    for number in range(10):
        Project.objects.create(
            organisation=organisation, name=f"p{number}", slug=f"p{number}", first_span_at=clock.now()
        )

    assert queries() == few
    assert few <= 12


def test_the_list_begins_with_who_needs_somebody(inside, alice):
    shop = Project.objects.get(slug="shop")
    quiet = Project.objects.create(organisation=shop.organisation, name="Aardvark", slug="aardvark")
    watched(quiet)
    page = inside.get("/").content.decode()
    assert "2 projects; nothing that is watched needs attention" in page
    assert page.index("Aardvark") < page.index("Shop")

    watched(shop, "Score", "score", out=2, value=0.5, level=0.1)
    incident_of(shop, severity=1)

    page = inside.get("/").content.decode()
    assert "One of two projects needs attention" in page
    assert page.index("/p/shop/") < page.index("/p/aardvark/", page.index("<table"))
    assert "/p/shop/incidents/1/" in page
    assert page.count("Not watched") > 2, "what nobody watches is not in range"
