"""How long the audit log is kept: for ever, or as long as the operator says, a year at least."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
from django.db import connection

from telltale.audit import prune
from telltale.audit.models import AuditEntry
from telltale.lib.spreadsheet import FORMULA, plain_text
from telltale.run.commands import run_command
from telltale.web.tasks import prune_audit
from traces.pages.export import cell

ADD = """
    INSERT INTO audit_auditentry (at, actor, action, target, outcome)
    VALUES (now() - %s::interval, 'a', 'x.y', %s, 'done')
"""


@pytest.fixture
def aged(db):
    """Three entries: two years old, 13 months, a day."""
    with connection.cursor() as cursor:
        for age in ("730 days 1 hour", "400 days", "1 day"):
            cursor.execute(ADD, [age, age])


def left():
    return sorted(AuditEntry.objects.filter(action="x.y").values_list("target", flat=True))


def run(*words):
    out = io.StringIO()
    return run_command(["audit", *words], out), out.getvalue()


def test_the_operator_prunes_and_is_written_down(aged):
    assert run("prune", "--days", "730") == (0, "1 entry older than 730 days removed.\n")
    assert run("prune", "--days", "730") == (0, "0 entries older than 730 days removed.\n")

    entry = AuditEntry.objects.get(action="audit.prune")
    assert left() == ["1 day", "400 days"]
    assert (entry.actor, entry.after) == ("telltale audit prune", {"removed": 1, "keep_days": 730})
    assert entry.before["oldest"] is not None


@pytest.mark.parametrize("days", ["364", "0", "-1"])
def test_a_year_is_always_kept(aged, days):
    code, said = run("prune", "--days", days)

    assert (code, said) == (1, "The audit log is kept for 365 days at least.\n")
    assert len(left()) == 3


def test_nobody_prunes_by_night_unless_the_operator_says_so(aged, settings):
    assert (prune_audit(), len(left())) == (0, 3)
    settings.TELLTALE_AUDIT_DAYS = 365

    assert prune_audit() == 2

    assert left() == ["1 day"]
    assert AuditEntry.objects.get(action="audit.prune").actor == prune.NIGHTLY


def test_a_setting_below_a_year_does_not_start():
    told = {**os.environ, "TELLTALE_AUDIT_DAYS": "364", "DJANGO_SETTINGS_MODULE": "telltale.settings"}

    ended = subprocess.run(
        [sys.executable, "-c", "import telltale.settings"], env=told, capture_output=True, text=True, check=False
    )

    assert ended.returncode != 0
    assert "TELLTALE_AUDIT_DAYS must be 365 at least" in ended.stderr


@pytest.mark.django_db
def test_the_page_says_how_long(house, settings):
    erin = house.sign_in("erin")
    page = "/p/shop/settings/audit/"

    assert "Entries are kept for ever" in erin.get(page).content.decode()
    settings.TELLTALE_AUDIT_DAYS = 500
    assert "Entries are kept for 500 days" in erin.get(page).content.decode()


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_text_that_a_spreadsheet_would_compute_is_made_plain(sign):
    assert sign in FORMULA
    assert plain_text(sign + "1+1") == cell(sign + "1+1") == "'" + sign + "1+1"
    assert plain_text("1" + sign) == "1" + sign
