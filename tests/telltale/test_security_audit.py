"""The self-audit says of every requirement how it stands, and each test it names is there; and a few it names first."""

from __future__ import annotations

import ast
import logging
import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from allauth.mfa import app_settings as mfa_settings
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.backends.db import SessionStore

from telltale.accounts import mail
from telltale.lib import logs, vault
from telltale.projects import keys

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
STANDS = ("met", "not met", "not applicable")
# The numbers of ASVS 5.0.0 at level 1, and those that level 2 adds: section, then the last parts.
LEVEL_1 = (
    "1.2: 1 2 3 4 5; 1.3: 1 2; 1.5: 1; 2.1: 1; 2.2: 1 2; 2.3: 1; 3.2: 1 2; 3.3: 1; 3.4: 1 2; 3.5: 1 2 3; 4.1: 1; "
    "4.4: 1; 5.2: 1 2; 5.3: 1 2; 6.1: 1; 6.2: 1 2 3 4 5 6 7 8; 6.3: 1 2; 6.4: 1 2; 7.2: 1 2 3 4; 7.4: 1 2; 8.1: 1; "
    "8.2: 1 2; 8.3: 1; 9.1: 1 2 3; 9.2: 1; 10.4: 1 2 3 4 5; 11.3: 1 2; 11.4: 1; 12.1: 1; 12.2: 1 2; 13.4: 1; 14.2: 1; "
    "14.3: 1; 15.1: 1; 15.2: 1; 15.3: 1"
)
LEVEL_2 = (
    "1.1: 1 2; 1.2: 6 7 8 9; 1.3: 3 4 5 6 7 8 9 10 11; 1.4: 1 2 3; 1.5: 2; 2.1: 2 3; 2.2: 3; 2.3: 2 3 4; 2.4: 1; "
    "3.3: 2 3 4; 3.4: 3 4 5 6; 3.5: 4 5; 3.7: 1 2; 4.1: 2 3; 4.2: 1; 4.3: 1 2; 4.4: 2 3 4; 5.1: 1; 5.2: 3; 5.4: 1 2 3; "
    "6.1: 2 3; 6.2: 9 10 11 12; 6.3: 3 4; 6.4: 3 4; 6.5: 1 2 3 4 5; 6.6: 1 2 3; 6.8: 1 2 3 4; 7.1: 1 2 3; 7.3: 1 2; "
    "7.4: 3 4 5; 7.5: 1 2; 7.6: 1 2; 8.1: 2; 8.2: 3; 8.4: 1; 9.2: 2 3 4; 10.1: 1 2; 10.2: 1 2; 10.3: 1 2 3 4; "
    "10.4: 6 7 8 9 10 11; 10.5: 1 2 3 4 5; 10.6: 1 2; 10.7: 1 2 3; 11.1: 1 2; 11.2: 1 2 3; 11.3: 3; 11.4: 2 3 4; "
    "11.5: 1; 11.6: 1; 12.1: 2 3; 12.3: 1 2 3 4; 13.1: 1; 13.2: 1 2 3 4 5; 13.3: 1 2; 13.4: 2 3 4 5; 14.1: 1 2; "
    "14.2: 2 3 4; 14.3: 2 3; 15.1: 2 3; 15.2: 2 3; 15.3: 2 3 4 5 6 7; 16.1: 1; 16.2: 1 2 3 4 5; 16.3: 1 2 3 4; "
    "16.4: 1 2 3; 16.5: 1 2 3; 17.1: 1; 17.2: 1 2 3 4; 17.3: 1 2"
)


def numbers(told):
    sections = (part.split(": ") for part in told.split("; "))
    return {f"{section}.{last}" for section, lasts in sections for last in lasts.split()}


def rows():
    """(number, level, how it stands, what holds it) of each row of the table."""
    found = []
    for line in (DOCS / "security-asvs.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and re.fullmatch(r"\d+\.\d+\.\d+", cells[0]):
            number, level, what, stands, held = cells
            assert what, number
            found.append((number, level, stands, held))
    return found


def named(text):
    return re.findall(r"`((?:[a-z_]+/)+test_\w+\.py)::(test_\w+)`", text)


@cache
def functions_of(path):
    tree = ast.parse((ROOT / "tests" / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_requirement_of_both_levels_has_its_row_and_no_other():
    told = rows()

    assert len(told) == len({number for number, *_ in told})
    assert {number for number, level, *_ in told if level == "1"} == numbers(LEVEL_1)
    assert {number for number, level, *_ in told if level == "2"} == numbers(LEVEL_2)


def test_every_row_says_how_it_stands_and_by_what():
    for number, _, stands, held in rows():
        assert stands in STANDS, number
        assert held, number
        if stands == "met":
            assert named(held) or re.search(r"\]\([a-z-]+\.md", held), f"{number}: no test and no page holds it"


@pytest.mark.parametrize("page", ["security-asvs.md", "security.md"])
def test_every_test_and_page_that_is_named_is_there(page):
    text = (DOCS / page).read_text()

    assert len(named(text)) > 10
    for path, name in named(text):
        assert (ROOT / "tests" / path).exists(), path
        assert name in functions_of(path), f"{path}::{name}"
    for link in re.findall(r"\]\(([a-z-]+\.md)", text):
        assert (DOCS / link).exists(), link


def test_the_page_of_security_counts_as_the_table_does():
    told = rows()
    text = (DOCS / "security.md").read_text()

    for level in ("1", "2"):
        counted = Counter(stands for _, of, stands, _ in told if of == level)
        cells = [str(counted[stands]) for stands in STANDS] + [str(sum(counted.values()))]
        assert f"| {level} | " + " | ".join(cells) + " |" in text, cells
    both = Counter(stands for *_, stands, _ in told)
    assert "| both | " + " | ".join(str(both[stands]) for stands in STANDS) + f" | {len(told)} |" in text


def test_the_page_of_security_names_all_that_is_not_met():
    not_met = [number for number, _, stands, _ in rows() if stands == "not met"]
    section = (DOCS / "security.md").read_text().split("## Not met")[1].split("\n## ")[0]

    assert re.findall(r"(?m)^\| (\d+\.\d+\.\d+) \|", section) == not_met


def test_codes_of_apps_live_thirty_seconds():
    assert (mfa_settings.TOTP_PERIOD, mfa_settings.TOTP_TOLERANCE, mfa_settings.TOTP_DIGITS) == (30, 0, 6)
    assert mfa_settings.RECOVERY_CODE_DIGITS == 8


@pytest.mark.django_db
def test_ids_of_sessions_are_long_and_never_the_same():
    made = {SessionStore()._get_new_session_key() for _ in range(200)}

    assert len(made) == 200
    assert all(re.fullmatch(r"[a-z0-9]{32}", key) for key in made)


@pytest.mark.django_db
def test_what_must_not_be_guessed_has_128_random_bits(house):
    key = keys.make_key(house.shop, "long", ["read"])
    link = default_token_generator.make_token(house.people.alice)

    assert len(bytes.fromhex(key.secret.removeprefix(keys.SECRET_PREFIX))) >= 16
    assert len(link.partition("-")[2]) * 4 >= 128
    made = r"token_(bytes|hex|urlsafe)\((\d+)\)"
    # Names of processes, requests and faults, and the tab of a reviewer: who guesses them has nothing.
    names = {
        "jobs/leases.py", "jobs/transport.py", "web/middleware.py", "web/archive/reading.py", "ingest/views.py",
        "judging/models.py", "reviewing/handing.py", "projects/keys.py", "projects/snippets.py", "traces/sending.py",
        "wire/native_spans.py", "alerts/delivering.py", "drifting/embedding.py",
    }  # fmt: skip
    short = []
    for room in ("platform/telltale", "traces", "evals", "alerts"):
        for path in (ROOT / room).rglob("*.py"):
            for _, count in re.findall(made, path.read_text()):
                if int(count) < 16 and not any(name in str(path) for name in names):
                    short.append(f"{path}: {count}")
    assert short == []


def test_a_sealed_secret_that_was_changed_does_not_open():
    sealed = vault.seal("test", "the secret")
    at = len(sealed) // 2
    changed = sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :]

    with pytest.raises(vault.Sealed):
        vault.unseal("test", changed)


def test_tokens_of_the_provider_are_kept_nowhere(settings):
    assert settings.SOCIALACCOUNT_STORE_TOKENS is False
    assert settings.SOCIALACCOUNT_PROVIDERS["openid_connect"]["OAUTH_PKCE_ENABLED"] is True


@pytest.mark.parametrize("url", ["smtps://u:p@mail.example:465", "smtp://u:p@mail.example:587"])
def test_mail_servers_show_a_certificate_that_is_looked_at(url):
    backend = mail.smtp_backend(url)

    assert backend.use_ssl or backend.use_tls
    assert backend.ssl_context.check_hostname
    assert backend.ssl_context.verify_mode.name == "CERT_REQUIRED"


@pytest.mark.parametrize("name", ["run", "dev", "build"])
def test_everything_installed_is_named_with_its_hashes(name):
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    packages = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]

    assert packages
    for package in packages:
        assert re.match(r"[A-Za-z0-9._-]+(\[[a-z,_-]+\])?==\S+", package), package[:60]
        assert "--hash=sha256:" in package, package[:60]


def test_types_are_checked_strictly():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mypy"]

    assert told["strict"] is True


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "address", "body"),
    [("patch", "/api/v1/project?project=shop", {"id": 7}),
     ("patch", "/api/v1/project?project=shop", {"organisation": 2}),
     ("patch", "/api/v1/organisations/example-ltd", {"slug": "x"}),
     ("post", "/api/v1/keys?project=shop", {"name": "a", "scopes": ["read"], "project_id": 1})],
)  # fmt: skip
def test_a_field_that_an_address_does_not_name_is_refused(house, method, address, body):
    answer = getattr(house.sign_in("alice"), method)(address, body, content_type="application/json")

    assert answer.status_code == 400
    assert "unknown field" in answer.json()["detail"]


def test_a_line_of_the_log_is_one_line_with_its_time_in_utc():
    forged = 'one\n{"at": "2020-01-01T00:00:00+00:00", "level": "info"}\r\x1b[2K\u202e'
    record = logging.LogRecord("x", logging.WARNING, __file__, 1, "%s", (forged,), None)

    line = logs.LineFormatter().format(record)

    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert "\x1b" not in line
    assert re.search(r'"at": "\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"', line)


def test_logs_go_to_standard_error_alone(settings):
    handlers = settings.LOGGING["handlers"].values()

    assert {handler["class"] for handler in handlers} == {"logging.StreamHandler"}
    made = r"\b(?:FileHandler|RotatingFileHandler|SysLogHandler|SMTPHandler|HTTPHandler|AdminEmailHandler)\b"
    for room in ("platform/telltale", "traces", "evals", "alerts"):
        for path in (ROOT / room).rglob("*.py"):
            assert not re.search(made, path.read_text()), path
