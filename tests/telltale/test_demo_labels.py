"""The demo's labels: made-up people, always the same, who mostly know what the story made worse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from django.test import Client

from telltale.accounts.models import Organisation
from telltale.projects.keys import make_key
from telltale.projects.models import ApiKey, Project
from telltale.run.demo import judging, labels
from telltale.run.demo import project as demo

CHANGED_AT = datetime(2026, 11, 20, 8, 10, tzinfo=UTC)
JUDGED = [
    SimpleNamespace(
        target_id=UUID(int=at), pi=0.08 if at % 3 else 1.0, feature="returns" if at % 2 else "checkout-help",
        started_at=CHANGED_AT + timedelta(hours=at - 600),
    )
    for at in range(1, 1001)
]  # fmt: skip
NEW = {row.target_id.hex for row in JUDGED if row.feature == "returns" and row.started_at >= CHANGED_AT}
WORSE = {row.target_id.hex: row.target_id.int % 5 == 0 for row in JUDGED}


def test_labels_are_drawn_with_a_known_chance_and_always_the_same():
    made = list(labels.make_labels(JUDGED, WORSE, CHANGED_AT))

    assert made == list(labels.make_labels(JUDGED, WORSE, CHANGED_AT))
    assert len({label["trace_id"] for label in made}) == labels.WANTED_NEW + labels.WANTED_OTHERS
    assert {label["pi_review"] for label in made if label["trace_id"] in NEW} == {labels.WANTED_NEW / len(NEW)}
    others = {label["pi_review"] for label in made if label["trace_id"] not in NEW}
    assert others == {labels.WANTED_OTHERS / (1000 - len(NEW))}
    assert all(label["pi_judge"] == (0.08 if int(label["trace_id"], 16) % 3 else 1.0) for label in made)
    assert {label["reviewer"] for label in made} == set(labels.PEOPLE)
    # A quarter twice: 70 of 280, limits at 10**-4.
    assert 42 <= len(made) - labels.WANTED_NEW - labels.WANTED_OTHERS <= 99


def test_people_mostly_see_what_the_story_made_worse():
    made = list(labels.make_labels(JUDGED, WORSE, CHANGED_AT))

    bad = [label["scores"]["correctness"] for label in made if WORSE[label["trace_id"]]]
    good = [label["scores"]["correctness"] for label in made if not WORSE[label["trace_id"]]]
    assert len(bad) > 5
    assert sum(bad) / len(bad) < 2 < 4 < sum(good) / len(good)


def test_nothing_judged_is_nothing_labelled():
    assert list(labels.make_labels([], {}, CHANGED_AT)) == []


@pytest.mark.django_db
def test_the_import_takes_them(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.1/32"]
    organisation = Organisation.objects.create(name="Shop Ltd", slug="shop-ltd")
    project = Project.objects.create(organisation=organisation, name="shop", slug="shop")
    judging.set_up_judges(project.pk, "http://127.0.0.1:4000/v1")
    secret = make_key(project, "demo", ("ingest", "read", "write")).secret
    made = list(labels.make_labels(JUDGED, WORSE, CHANGED_AT))

    answer = Client().post(
        "/api/v1/labels/import", {"items": made}, "application/json", headers={"Authorization": f"Bearer {secret}"}
    )

    assert answer.status_code == 200
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (len(made), 0)


@pytest.mark.django_db
def test_a_key_of_an_earlier_version_gets_the_scopes_it_needs():
    Organisation.objects.create(name="Shop Ltd", slug="shop-ltd")
    made = demo.ensure_project()
    ApiKey.objects.filter(pk=made.key_id).update(scopes=["ingest"])

    again = demo.ensure_project()

    assert again.key_id == made.key_id
    assert ApiKey.objects.get(pk=made.key_id).scopes == ["ingest", "signal", "read", "write"]
