"""The secret key is changed without losing what is sealed, in any number of tries; nothing stays under the old one."""

from __future__ import annotations

import importlib
import io
import json
import re
from pathlib import Path

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.db import connection

from telltale.lib import clock, vault
from telltale.run import rotation
from telltale.run.commands import run_command
from telltale.run.rotation import PLACES, reseal_all

ROOT = Path(__file__).resolve().parent.parent.parent
OLD, NEW = "o" + "ld-0123456789" * 4, "n" + "ew-9876543210" * 4


def put(settings, alice, project):
    """One secret in each place, sealed under the key that is set."""
    rows = {
        "traces.ForwardTarget": {"project": project, "name": "t", "url": "https://otlp.example"},
        "evals.Connection": {"project": project, "name": "c", "kind": "openai", "base_url": "https://api.example"},
        "alerts.Channel": {"project": project, "name": "ch", "kind": "webhook"},
        "alerts.NoticeSettings": {"project": project},
        "traces.MaskKey": {"project": project},
        "web.Erasure": {
            "project_id": project.pk, "organisation_id": project.organisation_id, "project_slug": "shop",
            "kind": "user", "subject_key": "0" * 32, "hint": "…", "asked_at": clock.now(),
        },
    }  # fmt: skip
    for place in PLACES:
        sealed = {place.column: vault.seal(place.purpose, f"for {place.model}")}
        apps.get_model(place.model).objects.create(**rows[place.model], **sealed)
    Authenticator.objects.create(user=alice, type="totp", data={"secret": get_adapter().encrypt("TOTPSECRET")})
    Authenticator.objects.create(
        user=alice, type="recovery_codes",
        data={"seed": get_adapter().encrypt("SEED"), "used_mask": 5, "migrated_codes": [get_adapter().encrypt("CODE")]},
    )  # fmt: skip


def opened():
    """What every place holds, as it is opened under today's keys."""
    found = {}
    for place in PLACES:
        sealed = apps.get_model(place.model).objects.values_list(place.column, flat=True).get()
        found[place.model] = vault.unseal(place.purpose, sealed)
    for factor in Authenticator.objects.all():
        found[factor.type] = get_adapter().decrypt(factor.data.get("secret") or factor.data["seed"])
    return found


@pytest.fixture
def sealed(settings, alice, project):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = OLD, []
    put(settings, alice, project)
    before = opened()
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = NEW, [OLD]
    return before


def run(*arguments):
    out = io.StringIO()
    return run_command(["rotate-secrets", *arguments], out), out.getvalue()


def test_everything_opens_before_during_and_after_the_change(settings, sealed):
    assert opened() == sealed

    code, said = run()
    settings.SECRET_KEY_FALLBACKS = []

    assert code == 0
    assert opened() == sealed
    assert "secrets of channels: 0 under today's key, 1 sealed anew" in said
    factor = Authenticator.objects.get(type="recovery_codes").data
    assert factor["used_mask"] == 5
    assert get_adapter().decrypt(factor["migrated_codes"][0]) == "CODE"


def test_no_token_in_the_whole_database_is_left_under_the_old_key(settings, sealed):
    run()

    # Wherever a table keeps something that looks sealed, today's key alone must open it: no place is forgotten.
    tokens = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND data_type IN ('text', 'character varying', 'jsonb')"
        )
        for table, column in cursor.fetchall():
            cursor.execute(f'SELECT "{column}"::text FROM "{table}" WHERE "{column}"::text LIKE \'%gAAAA%\'')
            tokens += [token for (text,) in cursor.fetchall() for token in re.findall(r"gAAAA[\w=-]+", text)]
    purposes = {place.purpose for place in PLACES}
    settings.SECRET_KEY_FALLBACKS = []
    assert len(tokens) == len(PLACES) + 3
    for token in tokens:
        assert any(opens(lambda p=p, t=token: vault.unseal(p, t)) for p in purposes) or get_adapter().decrypt(token)


def opens(attempt):
    try:
        attempt()
    except vault.Sealed:
        return False
    return True


def test_stopped_half_way_it_goes_on_where_it_was(settings, sealed, monkeypatch):
    steps = reseal_all()
    next(steps)
    next(steps)
    steps.close()

    assert opened() == sealed
    code, said = run()

    assert code == 0
    assert f"{PLACES[0].what}: 1 under today's key, 0 sealed anew" in said
    assert f"{PLACES[-1].what}: 0 under today's key, 1 sealed anew" in said
    assert all(count.renewed == 0 for count in reseal_all())


def test_secret_entered_meanwhile_is_not_written_over(settings, sealed, monkeypatch):
    place = PLACES[2]
    model = apps.get_model(place.model)
    real = vault.reseal

    def while_somebody_enters(purpose, token):
        model.objects.update(**{place.column: vault.seal(place.purpose, "entered just now")})
        return real(purpose, token)

    monkeypatch.setattr(rotation.vault, "reseal", while_somebody_enters)
    list(reseal_all())

    assert vault.unseal(place.purpose, model.objects.values_list(place.column, flat=True).get()) == "entered just now"


def test_what_no_key_opens_is_named_and_left_as_it_is(settings, sealed):
    settings.SECRET_KEY_FALLBACKS = []
    before = apps.get_model("evals.Connection").objects.values_list("sealed_key", flat=True).get()

    code, said = run()

    assert code == 1
    assert "evals_connection" in said
    assert "enter that secret again" in said
    assert apps.get_model("evals.Connection").objects.values_list("sealed_key", flat=True).get() == before


def test_checking_changes_nothing_and_earlier_keys_are_kept_while_needed(settings, sealed, tmp_path):
    settings.TELLTALE_HOME = tmp_path
    (tmp_path / "secret_key.old").write_text(OLD)
    before = json.dumps(list(Authenticator.objects.order_by("pk").values_list("data", flat=True)))

    checked, early = run("--check"), run("--forget")

    assert checked[0] == 0
    assert early[0] == 1
    assert json.dumps(list(Authenticator.objects.order_by("pk").values_list("data", flat=True))) == before
    assert (tmp_path / "secret_key.old").exists()
    run()
    assert run("--forget")[0] == 0
    assert not (tmp_path / "secret_key.old").exists()


def test_new_key_of_the_home_keeps_the_old_one_beside_it(db, monkeypatch, tmp_path):
    home = tmp_path / "home"
    monkeypatch.setenv("TELLTALE_HOME", str(home))
    monkeypatch.delenv("TELLTALE_SECRET_KEY", raising=False)
    monkeypatch.setattr("telltale.run.home.drop_account", lambda: None)
    home.mkdir()
    (home / "secret_key").write_text(OLD + "\n")

    made, again = run("--make-key"), run("--make-key")

    assert (made[0], again[0]) == (0, 1)
    assert (home / "secret_key.old").read_text().strip() == OLD
    key = (home / "secret_key").read_text().strip()
    assert key != OLD
    assert len(key) >= 50
    assert all((home / name).stat().st_mode & 0o077 == 0 for name in ("secret_key", "secret_key.old"))
    assert key not in made[1]


def test_key_of_the_environment_is_changed_there(db, monkeypatch):
    monkeypatch.setenv("TELLTALE_SECRET_KEY", NEW)

    code, said = run("--make-key")

    assert code == 1
    assert "TELLTALE_OLD_SECRET_KEYS" in said
    assert NEW not in said


def test_every_purpose_that_code_seals_for_has_its_place():
    purposes = set()
    for room in ("platform/telltale", "traces", "evals", "alerts"):
        for path in (ROOT / room).rglob("*.py"):
            names = set(re.findall(r"vault\.seal\((\w+),", path.read_text()))
            if not names or path.name in {"vault.py", "rotation.py"}:
                continue
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removeprefix("platform.")
            purposes |= {getattr(importlib.import_module(module), name) for name in names}

    assert purposes
    assert purposes <= {place.purpose for place in PLACES}
