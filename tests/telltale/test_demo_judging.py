"""The demo's judges are set up once, as people would; only the stand-in's address is told anew."""

from __future__ import annotations

import pytest

from evals.read import setup as read
from telltale.accounts.models import Organisation
from telltale.projects.models import Project
from telltale.run.demo import judging

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.1/32"]
    organisation = Organisation.objects.create(name="Shop Ltd", slug="shop-ltd")
    return Project.objects.create(organisation=organisation, name="shop", slug="shop")


def live(project):
    return {judge.slug: judge.live.number for judge in read.list_judges(project.pk) if judge.live}


def test_without_a_stand_in_rules_judge_alone(project):
    judging.set_up_judges(project.pk, "")

    assert live(project) == {"format-and-safety": 1}
    assert read.list_connections(project.pk) == []


def test_with_a_stand_in_a_model_judge_is_live_too_and_named_as_what_it_is(project):
    judging.set_up_judges(project.pk, "http://127.0.0.1:4000/v1")

    [connection] = read.list_connections(project.pk)
    assert live(project) == {"answer-quality": 1, "format-and-safety": 1}
    assert connection.is_stand_in
    assert "not a model" in connection.name


def test_set_up_again_it_changes_the_address_alone(project):
    judging.set_up_judges(project.pk, "http://127.0.0.1:4000/v1")
    judging.set_up_judges(project.pk, "http://127.0.0.1:5000/v1")

    [connection] = read.list_connections(project.pk)
    assert connection.base_url == "http://127.0.0.1:5000/v1"
    assert live(project) == {"answer-quality": 1, "format-and-safety": 1}
