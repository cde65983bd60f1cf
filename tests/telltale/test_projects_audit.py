"""The audit log as admins read it."""

from __future__ import annotations

import csv
import io

import pytest

from telltale.audit.log import record
from telltale.audit.read import list_entries
from telltale.projects import write
from telltale.projects.models import Project

pytestmark = pytest.mark.django_db
PAGE = "/p/shop/settings/audit/"


def test_acts_of_the_project_are_shown_with_what_changed(house):
    erin = house.sign_in("erin")
    erin.post("/p/shop/settings/keys/new/", {"name": "checkout", "scopes": ["ingest", "read"]})
    write.create_key(Project.objects.get(slug="far"), "foreign", ("ingest",))

    text = erin.get(PAGE).content.decode()

    assert "key.create" in text
    assert "erin@example.com" in text
    assert "ingest, read" in text
    assert "foreign" not in text


def test_a_choice_narrows_and_an_unknown_one_is_ignored(house):
    record("key.create", project_id=house.shop.pk, actor="a@example.com", target="one")
    record("key.revoke", project_id=house.shop.pk, actor="b@example.com", target="two")
    erin = house.sign_in("erin")

    by_action = erin.get(PAGE, {"action": "key.revoke"}).content.decode()
    by_actor = erin.get(PAGE, {"actor": "a@example.com"}).content.decode()
    unknown = erin.get(PAGE, {"action": "no.such", "before": "junk\0"}).content.decode()

    assert ("two" in by_action, ">one<" in by_action) == (True, False)
    assert (">one<" in by_actor, ">two<" in by_actor) == (True, False)
    assert ">one<" in unknown
    assert "Nothing matches" in erin.get(PAGE, {"actor": "x\0"}).content.decode()


def test_pages_join_without_gap_or_repeat(house):
    for number in range(7):
        record("key.create", project_id=house.shop.pk, target=f"k{number}")

    first = list_entries(house.shop.pk, size=3)
    second = list_entries(house.shop.pk, size=3, before=first.older)
    third = list_entries(house.shop.pk, size=3, before=second.older)

    assert [row.target for page in (first, second, third) for row in page.rows] == [f"k{n}" for n in range(6, -1, -1)]
    assert third.older is None


def test_the_export_holds_no_formulas(house):
    record("member.invite", project_id=house.shop.pk, actor="=cmd()", target="@x", after={"role": "viewer"})

    answer = house.sign_in("erin").get(PAGE, {"format": "csv"})

    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit-shop.csv"'
    assert (rows[0]["actor"], rows[0]["target"], rows[0]["changes"]) == ("'=cmd()", "'@x", "role:  -> viewer")
