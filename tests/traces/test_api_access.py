"""Who may use the API, in which forms they say who they are, and what a refusal looks like."""

from __future__ import annotations

import base64

import pytest
from django.test import Client

from telltale.projects import keys
from telltale.projects.models import ApiKey

URL = "/api/v1/accounting"
pytestmark = pytest.mark.django_db


def secret_of(headers):
    return headers["Authorization"].removeprefix("Bearer ")


def test_every_form_of_a_key_is_accepted(shop):
    secret = secret_of(shop.key("read"))
    basic = base64.b64encode(f"anything:{secret}".encode()).decode()

    for headers in (
        {"Authorization": f"Bearer {secret}"},
        {"Authorization": f"bearer%20{secret}"},
        {"Authorization": secret},
        {"Authorization": f"Basic {basic}"},
        {"x-api-key": secret},
        {"Helicone-Auth": f"Bearer {secret}", "Authorization": "Bearer sk-provider"},
    ):
        assert shop.nobody.get(URL, headers=headers).status_code == 200, headers


def test_without_a_good_key_the_answer_is_one_401(shop):
    revoked = shop.key("read")
    keys.revoke(ApiKey.objects.get(last_four=secret_of(revoked)[-4:]))
    keys.cache.clear()

    answers = [
        shop.nobody.get(URL, headers=headers)
        for headers in ({}, revoked, {"Authorization": "Bearer tt_sk_unknown0000000000"}, {"x-api-key": "nonsense"})
    ]

    for answer in answers:
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == 401


def test_a_key_in_the_address_is_no_key(shop):
    secret = secret_of(shop.key("read"))

    assert shop.nobody.get(f"{URL}?key={secret}").status_code == 401


def test_a_bad_key_beside_a_session_is_refused(shop):
    answer = shop.alice.get(f"{URL}?project=shop", headers={"Authorization": "Bearer tt_sk_unknown0000000000"})

    assert answer.status_code == 401


def test_a_key_without_the_scope_gets_403_that_names_it(shop):
    answer = shop.nobody.get(URL, headers=shop.key("ingest signal"))

    assert answer.status_code == 403
    assert "scope read" in answer.json()["detail"]


def test_the_key_decides_the_project(shop):
    headers = shop.key("read")

    assert shop.nobody.get(f"{URL}?project=shop", headers=headers).status_code == 200
    foreign = shop.nobody.get(f"{URL}?project=elsewhere", headers=headers)
    missing = shop.nobody.get(f"{URL}?project=nowhere", headers=headers)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json() == missing.json()


def test_members_read_by_session_and_name_the_project(shop):
    assert shop.bob.get(f"{URL}?project=shop").status_code == 200
    assert shop.alice.get(f"{URL}?project=shop").status_code == 200
    unnamed = shop.alice.get(URL)
    assert unnamed.status_code == 400
    assert unnamed.json()["errors"][0]["field"] == "project"


def test_charlie_sees_the_same_404_as_for_nothing(shop):
    foreign = shop.charlie.get(f"{URL}?project=shop")
    missing = shop.charlie.get(f"{URL}?project=nowhere")

    assert foreign.status_code == missing.status_code == 404
    assert foreign.json() == missing.json()


def test_somebody_who_must_change_the_password_first_is_nobody_here(shop):
    shop.people.bob.must_change_password = True
    shop.people.bob.save()

    assert shop.bob.get(f"{URL}?project=shop").status_code == 401


def test_a_slash_at_the_end_makes_no_difference_and_no_redirect(shop):
    assert shop.nobody.get(URL + "/", headers=shop.key("read")).status_code == 200


def test_unknown_addresses_and_methods_are_problems(shop):
    headers = shop.key("read")

    missing = shop.nobody.get("/api/v1/nothing", headers=headers)
    wrong = shop.nobody.delete(URL, headers=headers)

    assert missing.status_code == 404
    assert missing["Content-Type"] == "application/problem+json"
    assert wrong.status_code == 405
    assert "GET" in wrong["Allow"]
    assert wrong["Content-Type"] == "application/problem+json"


def test_the_answer_is_json_whatever_accept_says(shop):
    answer = shop.nobody.get(URL, headers={**shop.key("read"), "Accept": "text/html"})

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-13-40", "from"),
        ("from=0001-01-01", "from"),
        ("to=9999-12-31T23:59:59Z", "to"),
        ("from=2026-11-19T10:00:00%2B99:00", "from"),
        ("from=2026-11-19&to=2026-11-18", "from"),
        ("from=1999-01-01&to=2026-11-18", "from"),
        ("from=%00", "from"),
        ("key=9999999999999999999999", "key"),
        ("key=-1", "key"),
        ("key=%D9%A3", "key"),
        ("key=1e3", "key"),
        ("source=carrier-pigeon", "source"),
        ("source=%00", "source"),
        ("project=%00", "project"),
        ("project=" + "x" * 5000, "project"),
        ("frm=2026-11-18", "query"),
        ("%00=1", "query"),
        ("%ff%fe=1", "query"),
    ],
)
def test_hostile_queries_are_400_and_name_the_field(shop, query, field):
    answer = shop.nobody.get(f"{URL}?{query}", headers=shop.key("read"))

    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["errors"][0]["field"] == field
    assert "\x00" not in answer.content.decode()


def test_a_project_that_is_gone_takes_its_keys_along(shop):
    headers = shop.key("read")
    assert shop.nobody.get(URL, headers=headers).status_code == 200

    shop.project.delete()

    assert shop.nobody.get(URL, headers=headers).status_code in {401, 404}


def test_the_browser_needs_its_csrf_token_to_change_things(shop):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(shop.people.erin, backend="allauth.account.auth_backends.AuthenticationBackend")

    answer = strict.patch("/api/v1/project?project=shop", {"name": "New"}, content_type="application/json")

    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]
