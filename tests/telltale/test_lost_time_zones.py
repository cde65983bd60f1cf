"""A project whose time zone this machine has lost: everything goes on in UTC, and pages say so."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from telltale.accounts.models import User
from telltale.projects import keys
from telltale.projects.models import Project
from tests.telltale.access_table import PAGES, REST
from tests.telltale.test_access_walk import KEY_SCOPES, _forget, _furnish

pytestmark = pytest.mark.django_db
LOST = "Mars/Olympus<b>"


@pytest.fixture
def key():
    """The secret of a key of every scope, once there is a project."""
    return lambda project: keys.make_key(project, "walk", KEY_SCOPES).secret


@pytest.fixture
def ids(project, key):
    """One of everything in the project, whose zone is then lost."""
    _forget()
    holder = Client(headers={"Authorization": f"Bearer {key(project)}"})
    yield _furnish(project, User.objects.create(email="member@example.com"), holder, b"\x52" * 16)
    _forget()


def lose(project):
    Project.objects.filter(pk=project.pk).update(time_zone=LOST)


def test_every_page_opens_and_says_that_its_times_are_utc(project, alice, sign_in, ids):
    client = sign_in(alice)
    paths = [ids.fill(route) for route, (look, _) in sorted(PAGES.items()) if look is not None]
    before = {path: client.get(path).status_code for path in paths}
    lose(project)
    wrong, told = [], 0

    for path in paths:
        answer = client.get(path)
        if answer.status_code != before[path]:
            wrong.append(f"{path}: {answer.status_code}, not {before[path]}")
        elif answer.status_code == 200 and not answer.streaming and b"</main>" in answer.content:
            told += 1
            if "Mars/Olympus&lt;b&gt;, is not known to this server" not in answer.content.decode():
                wrong.append(f"{path} does not say that its times are UTC")

    assert wrong == []
    assert told > 60


def test_every_address_of_the_api_answers_as_before(project, ids, key):
    holder = Client(headers={"Authorization": f"Bearer {key(project)}"})
    paths = [ids.fill(route) for route, methods in sorted(REST.items()) if "GET" in methods]
    before = {path: holder.get(path).status_code for path in paths}
    lose(project)

    wrong = [f"{path}: {found}" for path in paths if (found := holder.get(path).status_code) != before[path]]

    assert wrong == []
    assert sum(status == 200 for status in before.values()) > 60


@pytest.mark.parametrize("by", ["day", "week", "hour"])
def test_sums_by_day_are_those_of_utc(project, alice, sign_in, by):
    lose(project)

    for path in ("quality/", "outcomes/", "cost/", "drift/"):
        assert sign_in(alice).get(f"/p/shop/{path}", {"by": by, "step": by}).status_code == 200, path


def test_saving_other_settings_keeps_the_zone(project, alice, sign_in):
    lose(project)
    client = sign_in(alice)
    html = client.get("/p/shop/settings/").content.decode()

    chosen = re.search(r'<option value="([^"]*)" selected', html.partition('name="time_zone"')[2]).group(1)

    assert chosen == "Mars/Olympus&lt;b&gt;"
