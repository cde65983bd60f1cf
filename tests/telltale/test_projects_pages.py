"""Projects, their settings and keys, through the pages people use."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
import time_machine
from django.db import DatabaseError, connection, transaction
from django.test import Client

from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects import keys, write
from telltale.projects.models import ApiKey, Project

pytestmark = pytest.mark.django_db
SECRET = re.compile(r"tt_sk_[0-9a-f]{16,}")


def settings_form(**changes):
    rules = changes.pop("rules", [])
    data = {"name": "Shop", "time_zone": "UTC", "retention_days": "90", "feature_names": "",
            "rule-TOTAL_FORMS": str(len(rules)), "rule-INITIAL_FORMS": "0"}  # fmt: skip
    for number, (match, pattern, feature) in enumerate(rules):
        data |= {f"rule-{number}-match": match, f"rule-{number}-pattern": pattern, f"rule-{number}-feature": feature}
    return data | changes


def test_a_key_is_shown_once_and_kept_as_its_hash(house, caplog):
    alice = house.sign_in("alice")

    made = alice.post("/p/shop/settings/keys/new/", {"name": "checkout", "scopes": ["ingest", "signal"]})

    secret = SECRET.search(made.content.decode())[0]
    key = ApiKey.objects.get(name="checkout")
    assert (key.scopes, key.created_by.email, key.last_four) == (["ingest", "signal"], "alice@example.com", secret[-4:])
    assert bytes(key.secret_sha256) == keys.hash_secret(secret)
    for path in ("/p/shop/settings/keys/", f"/p/shop/settings/keys/{key.pk}/revoke/", "/p/shop/welcome/"):
        assert not SECRET.search(alice.get(path).content.decode())
    assert secret not in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT count(*) FROM "{table}" t WHERE t::text LIKE %s', [f"%{secret[6:]}%"])
            assert cursor.fetchone() == (0,), table


def test_the_answer_with_a_key_is_not_stored_by_anyone(house):
    made = house.sign_in("alice").post("/p/shop/settings/keys/new/", {"name": "checkout", "scopes": "ingest"})

    assert made.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("data", [{"name": "", "scopes": "ingest"}, {"name": "k"}, {"name": "k", "scopes": "root"}])
def test_a_key_without_name_or_known_scope_is_not_made(house, data):
    answer = house.sign_in("alice").post("/p/shop/settings/keys/new/", data)

    assert answer.status_code == 200
    assert b"errsum" in answer.content
    assert not ApiKey.objects.exists()


def test_two_keys_live_side_by_side_and_a_revoked_one_is_dead_in_seconds(house, settings):
    old = write.create_key(house.shop, "old", ("ingest",))
    new = write.create_key(house.shop, "new", ("ingest",))
    assert keys.find_holder(old.secret).project_slug == "shop"
    assert keys.find_holder(new.secret).project_slug == "shop"

    answer = house.sign_in("alice").post(f"/p/shop/settings/keys/{old.key.pk}/revoke/", follow=True)

    assert "refused within 5 seconds" in answer.content.decode()
    assert settings.KEY_CACHE_SECONDS < 5
    keys.cache.clear()
    assert keys.find_holder(old.secret) is None
    assert keys.find_holder(new.secret) is not None


def test_revoking_twice_is_one_act(house):
    key = write.create_key(house.shop, "old", ("ingest",)).key
    alice = house.sign_in("alice")

    for _ in range(2):
        alice.post(f"/p/shop/settings/keys/{key.pk}/revoke/")

    assert AuditEntry.objects.filter(action="key.revoke", target=key.public_part).count() == 1
    assert "Revoked already" in alice.get(f"/p/shop/settings/keys/{key.pk}/revoke/").content.decode()


def test_keys_unused_for_90_days_are_named(house):
    write.create_key(house.shop, "forgotten", ("ingest",))
    in_use = write.create_key(house.shop, "in use", ("ingest",))
    then = clock.now() + timedelta(days=91)
    ApiKey.objects.filter(pk=in_use.key.pk).update(last_used_at=then - timedelta(days=2))

    with time_machine.travel(then, tick=False):
        page = house.sign_in("alice").get("/p/shop/settings/keys/").content.decode()

    assert "One key was not used for 90 days" in page
    assert "<p>forgotten. A key nobody uses" in page


def test_last_use_is_shown_after_a_use(house):
    made = write.create_key(house.shop, "k", ("ingest",))
    keys.find_holder(made.secret)

    assert "just now" in house.sign_in("bob").get("/p/shop/settings/keys/").content.decode()


def test_settings_are_saved_and_audited_with_what_differed(house):
    data = settings_form(
        name="Shop 2", time_zone="Europe/Stockholm", retention_days="30",
        feature_names="returns\n checkout \nreturns\n",
        rules=[("root_name", "checkout*", "checkout"), ("", "", ""), ("service", "mailer", "mail")],
    )  # fmt: skip

    answer = house.sign_in("erin").post("/p/shop/settings/", data)

    assert answer.status_code == 302
    shop = Project.objects.get(slug="shop")
    assert (shop.name, shop.time_zone, shop.retention_days) == ("Shop 2", "Europe/Stockholm", 30)
    assert shop.feature_names == ["returns", "checkout"]
    assert shop.feature_rules == [
        {"match": "root_name", "pattern": "checkout*", "feature": "checkout"},
        {"match": "service", "pattern": "mailer", "feature": "mail"},
    ]
    entry = AuditEntry.objects.get(action="project.settings")
    assert entry.actor == "erin@example.com"
    assert entry.before["retention_days"] == 90
    assert entry.after["retention_days"] == 30


def test_settings_that_do_not_differ_leave_no_trace(house):
    house.sign_in("erin").post("/p/shop/settings/", settings_form())

    assert not AuditEntry.objects.filter(action="project.settings").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"name": ""}, "Name: This field is required"),
     ({"time_zone": "Mars/Olympus"}, "not one of the available choices"),
     ({"retention_days": "0"}, "greater than or equal to 1"),
     ({"retention_days": "99999"}, "less than or equal to 3650"),
     ({"feature_names": "x" * 201}, "at most 200 characters"),
     ({"feature_names": "\n".join(map(str, range(201)))}, "At most 200 names; these are 201"),
     ({"rules": [("root_name", "a*", "")]}, "Name the feature this pattern belongs to"),
     ({"rules": [("root_name", "", "a")]}, "Give a pattern"),
     ({"rule-TOTAL_FORMS": "junk"}, "")],
)  # fmt: skip
def test_wrong_settings_are_named_and_what_was_typed_is_kept(house, changes, words):
    answer = house.sign_in("erin").post("/p/shop/settings/", settings_form(**changes))

    text = answer.content.decode().replace("&#x27;", "'")
    assert answer.status_code == 200
    assert words in text
    assert Project.objects.get(slug="shop").retention_days == 90


def test_a_project_is_created_by_an_owner_and_leads_to_its_welcome(house):
    alice = house.sign_in("alice")
    form = {"name": "Shop", "organisation": house.organisation.pk, "time_zone": "UTC"}

    answer = alice.post("/projects/new/", form)

    assert answer.url == "/p/shop-2/welcome/"
    assert alice.get("/p/shop-2/").url == "welcome/"


def test_nobody_creates_projects_in_an_organisation_of_others(house):
    form = {"name": "Mine", "organisation": house.organisation.pk, "time_zone": "UTC"}

    answer = house.sign_in("charlie").post("/projects/new/", form)
    refused = house.sign_in("bob").post("/projects/new/", form)

    assert (answer.status_code, refused.status_code) == (200, 200)
    assert "Owners create projects" in refused.content.decode()
    assert not Project.objects.filter(name="Mine").exists()


@pytest.mark.parametrize(
    ("name", "slug"), [("Checkout API", "checkout-api"), ("数据", "project"), ("new", "new-2"), ("x" * 60, "x" * 55)]
)
def test_addresses_are_made_of_names(house, name, slug):
    assert write.create_project(house.organisation, name).slug == slug


def test_the_front_door_is_the_overview_once_there_are_traces(house):
    bob = house.sign_in("bob")
    assert bob.get("/p/shop/").url == "welcome/"
    Project.objects.filter(slug="shop").update(first_span_at=clock.now())

    assert "Is quality degrading?" in bob.get("/p/shop/").content.decode()


def test_welcome_shows_the_key_in_every_snippet_once(house, settings):
    alice = house.sign_in("alice")
    before = alice.get("/p/mail/welcome/").content.decode()
    assert "tt_sk_YOUR_KEY" in before

    made = alice.post("/p/mail/welcome/").content.decode()

    secret = SECRET.search(made)[0]
    assert made.count(secret) == 5
    assert settings.TELLTALE_PUBLIC_URL in made
    assert keys.find_holder(secret).scopes == {"ingest"}
    assert secret not in alice.get("/p/mail/welcome/").content.decode()


def test_welcome_turns_live_with_the_first_span(house):
    bob = house.sign_in("bob", headers={"HX-Request": "true"})
    waiting = bob.get("/p/shop/welcome/status/").content.decode()
    Project.objects.filter(slug="shop").update(first_span_at=clock.now())

    live = bob.get("/p/shop/welcome/status/").content.decode()

    assert 'hx-trigger="every 2s"' in waiting
    assert "hx-trigger" not in live
    assert 'href="/p/shop/traces/"' in live


def test_the_fragment_is_the_page_without_htmx(house):
    assert house.sign_in("bob").get("/p/shop/welcome/status/").url == "/p/shop/welcome/"


def test_the_list_of_projects_shows_yours_alone(house):
    page = house.sign_in("bob").get("/").content.decode()

    assert "One project" in page
    assert "/p/shop/" in page
    assert "/p/mail/" not in page
    assert "/p/far/" not in page
    assert Client().get("/").url == "/accounts/login/?next=/"


def test_an_organisation_keeps_an_owner(house):
    alice = house.sign_in("alice")
    base = "/organisations/example-ltd"
    page = alice.post(f"{base}/owners/{house.people.alice.pk}/", {"is_owner": "0"}, follow=True).content.decode()
    assert "needs an owner" in page
    house.organisation.members.create(user=house.people.erin)

    alice.post(f"{base}/owners/{house.people.erin.pk}/", {"is_owner": "1"})
    left = alice.post(f"{base}/owners/{house.people.alice.pk}/", {"is_owner": "0"})

    assert left.url == "/"
    assert house.sign_in("erin").get(f"{base}/").status_code == 200
    assert AuditEntry.objects.filter(action="organisation.owner", outcome="done").count() == 2


def test_an_organisation_is_renamed_and_its_address_stays(house):
    house.sign_in("alice").post("/organisations/example-ltd/", {"name": "Better Ltd"})

    house.organisation.refresh_from_db()
    assert (house.organisation.name, house.organisation.slug) == ("Better Ltd", "example-ltd")


@pytest.mark.parametrize("change", ["UPDATE audit_auditentry SET actor = 'x'", "DELETE FROM audit_auditentry"])
def test_the_audit_log_is_append_only(house, change):
    write.create_key(house.shop, "k", ("ingest",))

    # The trigger refuses, or the missing grant does before it, depending on who owns the table.
    refused = pytest.raises(DatabaseError, match=r"append-only|permission denied")
    with refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(change)
    assert AuditEntry.objects.filter(action="key.create").count() == 1
