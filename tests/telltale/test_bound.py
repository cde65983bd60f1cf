"""Managers that refuse a question of no project while a request is answered, and SQL that names the project."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import Exists, OuterRef, Q

from alerts.models import Alarm, Incident, IncidentEvent
from evals.models import Dataset, DatasetItem
from telltale.jobs.models import Job
from telltale.lib.bound import Owned, Unbound, answering
from telltale.projects import pages
from telltale.projects.keys import make_key
from telltale.projects.models import ApiKey, Project
from traces.models import Price

ROOT = Path(__file__).parents[2]
# Not owned, each with its reason.
FREE = {
    "jobs.Job": "a job may be of no project; pages ask by project_id, the operator's page and workers for all",
}


def owned_by_projects():
    """Models with a way to a project over foreign keys."""
    found, models = set(), [model for model in apps.get_models() if model is not Project]
    while True:
        more = {
            model
            for model in models
            if model not in found
            and any(field.related_model in {Project, *found} for field in model._meta.concrete_fields)
        }
        if not more:
            return found
        found |= more


def test_every_model_of_a_project_is_owned_or_says_why_not():
    free = {model._meta.label for model in owned_by_projects() if not issubclass(model, Owned)}

    assert free == set(FREE)
    assert len(owned_by_projects()) > 80


UNTIED = {
    "all": lambda: Incident.objects.all(),
    "another field": lambda: Incident.objects.filter(number=1),
    "not this project": lambda: Incident.objects.exclude(project_id=1),
    "or": lambda: Incident.objects.filter(Q(project_id=1) | Q(number=1)),
    "greater": lambda: Incident.objects.filter(project_id__gt=1),
    "slug": lambda: Incident.objects.filter(project__slug="shop"),
    "organisation": lambda: ApiKey.objects.filter(project__organisation_id=1),
    "exists": lambda: Alarm.objects.filter(Exists(Incident.objects.filter(project_id=OuterRef("project_id")))),
    "union": lambda: Incident.objects.filter(project_id=1).union(Incident.objects.filter(number=2)),
    "ordered": lambda: Dataset.objects.order_by("pk")[:3],
}
TIED = {
    "project": lambda: Incident.objects.filter(project_id=1, number=2),
    "projects": lambda: Incident.objects.filter(project_id__in=[1, 2]),
    "path": lambda: IncidentEvent.objects.filter(incident__project_id=1),
    "parent": lambda: DatasetItem.objects.filter(dataset_id=4),
    "own id": lambda: Dataset.objects.filter(pk=4),
    "or, both": lambda: Price.objects.filter(Q(project_id=1) | Q(project=None)),
    "reason": lambda: ApiKey.objects.unscoped("a test").filter(last_four="1234"),
    "none": lambda: Incident.objects.none(),
    "free": lambda: Job.objects.filter(state="failed"),
}
RUNS = {
    "rows": list,
    "first": lambda rows: rows.first(),
    "count": lambda rows: rows.count(),
    "exists": lambda rows: rows.exists(),
    "iterator": lambda rows: list(rows.iterator()),
    "values": lambda rows: list(rows.values_list("pk")),
}


@pytest.mark.django_db
@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("question", UNTIED)
def test_what_nothing_ties_to_a_project_does_not_run(question, run):
    with answering(), pytest.raises(Unbound):
        RUNS[run](UNTIED[question]())
    RUNS[run](UNTIED[question]())  # nobody is answered: a worker or a command


@pytest.mark.django_db
@pytest.mark.parametrize("question", TIED)
def test_what_is_tied_to_a_project_runs(question):
    with answering():
        for run in RUNS.values():
            run(TIED[question]())


@pytest.mark.django_db
def test_changes_are_held_to_it_like_questions(house):
    with answering():
        for change in (lambda rows: rows.update(last_four="0000"), lambda rows: rows.delete()):
            with pytest.raises(Unbound):
                change(ApiKey.objects.filter(name="x"))
            change(ApiKey.objects.filter(project=house.shop, name="x"))
        with pytest.raises(Unbound):
            ApiKey.objects.aggregate()
        with pytest.raises(ValueError, match="why"):
            ApiKey.objects.unscoped(" ")
        key = ApiKey.objects.create(project=house.shop, name="k", public_part="p", secret_sha256=b"1" * 32)
        key.name = "l"
        key.save()
        key.refresh_from_db()
        assert list(house.shop.keys.all()) == [key]
        key.delete()


@pytest.mark.django_db
def test_a_page_that_forgets_the_project_is_an_error_and_no_leak(house, monkeypatch):
    monkeypatch.setattr(pages.read, "list_keys", lambda project: [pages.read.key_row(k) for k in ApiKey.objects.all()])
    make_key(house.mail, "foreign", ("read",))

    with pytest.raises(Unbound):
        house.sign_in("bob").get("/p/shop/settings/keys/")


@pytest.mark.django_db
def test_sql_in_files_names_the_project():
    """Each table that has `project_id` and stands in a file's SQL: the file speaks of projects, or is on the list."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.columns WHERE column_name = 'project_id'")
        tables = {row[0] for row in cursor.fetchall()}
    used = re.compile(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:ONLY\s+)?(\w+)", re.IGNORECASE)
    silent = []
    for room in ("platform/telltale", "traces", "evals", "alerts"):
        for path in sorted((ROOT / room).rglob("*.sql")):
            text = re.sub(r"--.*", "", path.read_text())
            if tables & set(used.findall(text)) and "project" not in text:
                silent.append(str(path.relative_to(ROOT)))

    named = {f"{room}/sql/{name}.sql" for names in (CONDITIONS, IDS, WHOLE) for room, name in names}
    assert set(silent) == named
    for room, name in CONDITIONS:
        text = (ROOT / room / "sql" / f"{name}.sql").read_text()
        assert "{conditions}" in text or ("{near}" in text and "{far}" in text), name


def of(**rooms):
    return [(room, name) for room, names in rooms.items() for name in names.split()]


# The conditions are composed in Python, the project first.
CONDITIONS = of(
    traces="read_session_count read_sessions read_signal_count read_signal_facets read_signal_rows read_trace_count "
    "read_trace_facets read_trace_ids read_traces",
    alerts="flagged_traces series_costs_of_traces series_trace_times series_traces",
)
# By ids of monitors and queues, which came from a question with the project.
IDS = of(
    evals="read_review_counts read_review_left take_review_item",
    alerts="fronted_curves fronted_sums shown_fixed shown_last shown_points shown_rated shown_sparks shown_sums",
)
# Of the whole installation: what workers take next, and counters for who operates it.
WHOLE = of(
    traces="has_open_work read_pending read_totals rollup_backlog search_backlog",
    alerts="notices_claim notices_targets",
)
