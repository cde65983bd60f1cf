"""What the operator does from a shell is in the audit log, too: once, by the command's name, without secrets."""

from __future__ import annotations

import io

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret

from telltale.lib import vault
from telltale.run.commands import run_command
from telltale.run.provision import Wanted, provision
from tests.telltale.audit_kit import Log
from tests.telltale.test_second_factor import signed_in_by_form
from traces.models import ForwardTarget

pytestmark = pytest.mark.django_db
BY = "provisioning"


@pytest.fixture
def log(house):
    return Log(None)


def run(*words):
    out = io.StringIO()
    return run_command(list(words), out), out.getvalue()


def test_provisioning(house, log):
    secret, password = "tt_sk_" + "5" * 40, "some long password 3"
    log.secrets |= {secret, password, "another password 33"}
    told = {"email": "ops@example.com", "organisation": "Ops Ltd", "project": "ops", "secret_key": secret}

    provision(Wanted(**told, password=password, is_operator=True))
    made = log.new()
    assert [(e.action, e.actor) for e in made] == [
        ("person.create", BY), ("person.operator", BY), ("organisation.create", BY), ("organisation.owner", BY),
        ("project.create", BY), ("key.create", BY),
    ]  # fmt: skip
    assert all(e.target and e.outcome == "done" for e in made)
    assert made[-1].project_id
    assert {e.organisation_id for e in made[2:]} == {made[-1].organisation_id} != {None}

    provision(Wanted(**told, password=password, is_operator=True))
    log.none()
    provision(Wanted(**told, password="another password 33", scopes=("read",)))
    changed = log.new()
    assert [(e.action, e.before, e.after) for e in changed] == [
        ("password.set", None, None),
        ("key.scopes", {"scopes": ["ingest", "signal", "read", "write"]}, {"scopes": ["read"]}),
    ]


def test_erasing_and_removing(house, log):
    by = "telltale erase"
    log.secrets.add("jane-the-customer")
    log.project = house.shop
    code, _ = run("erase", "--project", "shop", "--user", "jane-the-customer")
    assert code == 0
    assert [(e.action, e.actor) for e in log.new()] == [("erasure.ask", by), ("erasure.done", "system")]
    run("erase", "--project", "shop", "--whole-project")
    log.one("project.remove", by, address=None, outcome="asked")
    run("erase", "--project", "shop", "--keep-project")
    log.one("project.keep", by, address=None)


@pytest.mark.django_db(transaction=True)  # each step reads in a snapshot of its own
def test_exporting_and_importing(house, log, tmp_path):
    log.project = house.shop
    assert run("export", "shop", "--out", str(tmp_path / "a"))[0] == 0
    log.one("project.export", "telltale export", address=None, after={"of": "the project"})
    log.project = house.mail
    assert run("import", str(tmp_path / "a"), "--project", "mail", "--quiet")[0] == 0
    log.one("project.import", "telltale import", address=None, target="mail", after={"of": "project"})


def test_pricing_again(house, log):
    log.project = house.shop
    run("reprice", "--project", "shop", "--from", "2026-01-01")
    log.none()
    run("reprice", "--project", "shop", "--from", "2026-01-01", "--apply")
    told = log.new()
    assert [(e.action, e.actor, e.outcome) for e in told] == [
        ("price.reprice", "telltale reprice", "started"), ("price.reprice", "system", "done"),
    ]  # fmt: skip
    assert {e.organisation_id for e in told} == {house.organisation.pk}


def test_changing_the_secret_key(house, log, settings):
    old = settings.SECRET_KEY
    sealed = vault.seal("forwarding", '{"x": "hunter2-token"}')
    ForwardTarget.objects.create(project=house.shop, name="t", url="https://t.invalid/", sealed_headers=sealed)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "n" * 48, [old]
    log.secrets |= {old, "n" * 48, "hunter2-token"}

    run("rotate-secrets", "--check")
    log.none()
    assert run("rotate-secrets")[0] == 0

    told = {"sealed_anew": 1, "lost": 0}
    log.one("secrets.rotate", "telltale rotate-secrets", address=None, target="seal", after=told)


def test_removing_a_lost_second_factor(house, log):
    alice = house.people.alice
    client = signed_in_by_form(house, "alice")
    assert client.get("/").status_code == 200
    TOTP.activate(alice, generate_totp_secret())
    log.skip()

    assert run("second-factor", "remove", "ALICE@example.com")[0] == 0

    (entry,) = log.new()
    assert (entry.action, entry.actor, entry.target) == ("factor.remove", "telltale second-factor remove", alice.email)
    assert not Authenticator.objects.filter(user=alice).exists()
    assert client.get("/").status_code == 302  # the session ended

    assert "has no second factor" in run("second-factor", "remove", "alice@example.com")[1]
    assert run("second-factor", "remove", "nobody@example.com") == (1, "Nobody signs in as nobody@example.com.\n")
    log.none()
