"""Provisioning makes what is named, once."""

from __future__ import annotations

import io
import json

import pytest

from telltale.accounts.models import User
from telltale.projects.keys import find_holder
from telltale.projects.models import ApiKey, Project
from telltale.run.commands import run_command
from telltale.run.provision import ProvisionError, Wanted, provision, provision_first

SECRET = "tt_sk_0123456789abcdef0123"


def run(*arguments):
    out = io.StringIO()
    code = run_command(["provision", *arguments], out)
    return code, json.loads(out.getvalue())


def test_command_makes_person_project_and_key(db):
    person = ("--email", "Ann@Example.com", "--password", "long enough 1")

    code, made = run(*person, "--project", "Web Shop", "--secret-key", SECRET)

    assert code == 0
    assert made["project"] == "web-shop"
    assert made["password"] is None
    assert User.objects.get(email="ann@example.com").check_password("long enough 1")
    assert find_holder(SECRET).project_id == made["project_id"]


def test_second_run_changes_nothing(db):
    wanted = Wanted(email="ann@example.com", password="long enough 1", project="shop", secret_key=SECRET)
    first = provision(wanted)

    second = provision(wanted)

    assert second == first
    assert (User.objects.count(), Project.objects.count(), ApiKey.objects.count()) == (1, 1, 1)


def test_scopes_of_a_known_key_are_updated(db):
    provision(Wanted(email="ann@example.com", secret_key=SECRET))

    made = provision(Wanted(email="ann@example.com", secret_key=SECRET, scopes=("ingest",)))

    assert made["scopes"] == ["ingest"]


def test_key_of_another_project_is_refused_and_nothing_is_kept(db):
    provision(Wanted(email="ann@example.com", project="one", secret_key=SECRET))

    with pytest.raises(ProvisionError, match="another project"):
        provision(Wanted(email="eve@example.com", project="two", secret_key=SECRET))

    assert not Project.objects.filter(slug="two").exists()
    assert not User.objects.filter(email="eve@example.com").exists()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"email": "nobody"}, "e-mail"),
        ({"project": "???"}, "letter"),
        ({"scopes": ("everything",)}, "scopes"),
        ({"public_key": "tt_pk_1"}, "secret key beside"),
        ({"secret_key": "short"}, "tt_sk_"),
    ],
)
def test_wrong_part_is_named_without_quoting_a_secret(db, wrong, says):
    with pytest.raises(ProvisionError, match=says) as caught:
        provision(Wanted(**{"email": "ann@example.com", **wrong}))

    assert "short" not in str(caught.value)


def test_first_start_makes_an_operator_who_must_change_the_password(db):
    made = provision_first()

    person = User.objects.get()
    assert person.check_password(made["password"])
    assert (person.is_superuser, person.must_change_password) == (True, True)
    assert find_holder(made["secret_key"]).scopes == {"ingest", "signal", "read", "write"}


def test_later_start_makes_nothing(db):
    provision_first()

    assert provision_first() == {}


def test_environment_names_what_the_first_start_makes(db, monkeypatch):
    monkeypatch.setenv("TELLTALE_INIT_ADMIN_EMAIL", "ops@example.com")
    monkeypatch.setenv("TELLTALE_INIT_ADMIN_PASSWORD", "chosen by ops 1")
    monkeypatch.setenv("TELLTALE_INIT_PROJECT", "checkout")
    monkeypatch.setenv("TELLTALE_INIT_SECRET_KEY", SECRET)

    made = provision_first()

    assert (made["project"], made["password"], made["secret_key"]) == ("checkout", None, None)
    assert not User.objects.get(email="ops@example.com").must_change_password
    assert find_holder(SECRET).project_slug == "checkout"


def test_restart_keeps_the_password_a_person_chose_since(db, monkeypatch):
    monkeypatch.setenv("TELLTALE_INIT_ADMIN_EMAIL", "ops@example.com")
    monkeypatch.setenv("TELLTALE_INIT_ADMIN_PASSWORD", "chosen by ops 1")
    provision_first()
    person = User.objects.get()
    person.set_password("my own choice 2")
    person.save()

    provision_first()

    assert User.objects.get().check_password("my own choice 2")
