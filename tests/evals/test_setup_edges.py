"""Setting up at its edges: what judges called is no traffic, changes are whole, limits hold, numbers stay numbers."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import orjson
import pytest
from django.test import Client

from evals import backfilling, setup
from evals.models import Connection, Judge
from evals.read import setup as read
from evals.setup import SetupRefused, preflights
from evals.setup import connections as connecting
from evals.setup import judges as judging_setup
from evals.setup import rubrics as rubric_setup
from evals.setup.estimating import estimate_plan
from evals.setup.plans import checked_plan
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects.keys import make_key
from tests.evals.judging_kit import store_traces
from traces import folding
from traces.own_calls import OwnCall, store_calls
from traces.own_calls import forget as forget_calls

pytestmark = pytest.mark.django_db
YES = {"criteria": [{"key": "brief", "definition": "At most 20 words.", "scale": {"kind": "boolean"}}]}
SHORT = {"rules": [{"criterion": "brief", "kind": "length", "unit": "words", "at_most": 20}]}


@pytest.fixture(autouse=True)
def surroundings(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    forget_calls()
    yield
    forget_calls()


@pytest.fixture
def ask(project):
    secret = make_key(project, "All", ("read", "write", "admin")).secret
    client = Client(headers={"Authorization": f"Bearer {secret}"})

    def asked(method, path, body, status=200):
        answer = client.generic(method, f"/api/v1/{path}", orjson.dumps(body), "application/json")
        assert answer.status_code == status, answer.content
        return answer.json()

    return asked


def rules_judge(project, slug="format", **more):
    rubric = setup.save_rubric(project, YES, slug="format", name="Format")
    values = {"name": "Format", "kind": "rule", "rubric_version_id": rubric.id, "config": SHORT}
    return setup.save_judge(project, slug=slug, **(values | more))


def connect(project, name="House", **more):
    return setup.add_connection(project, name=name, kind="openai", base_url="http://127.0.0.1:9/v1", **more)


def test_what_judges_called_is_none_of_the_traces(project):
    asked = store_traces(project, 2)
    began = clock.now() + timedelta(seconds=1)
    call = OwnCall(
        uuid4(), 1, "judge", "small-1", "openai", began, 5.0, 9, 9, None, "small-1", "stop", "", "s", "u", "a",
        {"judge": "format"}, None,
    )  # fmt: skip
    store_calls(project.pk, [call])
    folding.fold_roll_ups()
    version = rules_judge(project)
    judge = read.get_judge(project.pk, "format")

    tried = preflights.newest_traces(project.pk)
    estimate = estimate_plan(project, judge, judge.newest, checked_plan({"kind": "all"}))
    past = backfilling.estimate(project, version.id, "t=7d")

    assert set(tried) == set(asked)
    assert (estimate.looked_at, estimate.traces_day) == (2, 2)
    assert past.traces == 2


def test_a_refused_part_leaves_the_rest_as_it_was(project, ask):
    rules_judge(project)
    made = connect(project)

    problem = ask("PATCH", "judges/format", {"name": "Renamed", "config": {"rules": []}, "is_paused": True}, 400)
    assert problem["errors"][0]["field"] == "config.rules"
    ask("PATCH", "judges/format", {"name": "Renamed", "budget_usd_day": "2000000"}, 400)
    ask("PATCH", "rubrics/format", {"name": " \u200b", "is_archived": True}, 400)
    ask("PATCH", f"connections/{made.id}", {"name": "Other", "timeout_seconds": 3000}, 400)

    judge = read.get_judge(project.pk, "format")
    assert (judge.name, judge.paused_at, len(judge.versions)) == ("Format", None, 1)
    assert read.get_rubric(project.pk, "format").archived_at is None
    assert read.get_connection(project.pk, made.id).name == "House"


def test_a_slug_that_is_taken_is_never_written_over(project, ask):
    rules_judge(project)
    other = {"criteria": [YES["criteria"][0] | {"definition": "Another text altogether."}]}

    rubric = ask("POST", "rubrics", {"name": "x", "slug": "format", "spec": other}, 400)
    judge = {"name": "x", "slug": "format", "kind": "rule", "rubric": "format", "config": SHORT}
    problem = ask("POST", "judges", judge, 400)

    assert [each["errors"][0]["field"] for each in (rubric, problem)] == ["slug", "slug"]
    assert read.get_rubric(project.pk, "format").newest.spec["criteria"][0]["definition"] == "At most 20 words."


def test_versions_of_one_thing_have_an_end(project, monkeypatch):
    monkeypatch.setattr(judging_setup, "VERSIONS_MAX", 1)
    monkeypatch.setattr(rubric_setup, "VERSIONS_MAX", 1)
    rules_judge(project)
    setup.make_live(project, "format")
    longer = {"rules": [SHORT["rules"][0] | {"at_most": 30}]}

    assert rules_judge(project).number == 1
    with pytest.raises(SetupRefused, match="one too many"):
        rules_judge(project, config=longer)
    with pytest.raises(SetupRefused, match="one version too many"):
        setup.save_rubric(project, {**YES, "instructions": "Be strict."}, slug="format")


def test_what_is_taken_back_counts_as_in_use(project, ask, monkeypatch):
    made = connect(project)
    setup.archive_connection(project, made.id)
    rules_judge(project)
    setup.archive_judge(project, "format")
    monkeypatch.setattr(connecting, "CONNECTIONS_MAX", 0)
    monkeypatch.setattr(judging_setup, "JUDGES_MAX", 0)

    for path in (f"connections/{made.id}", "judges/format"):
        assert ask("PATCH", path, {"is_archived": False}, 400)["errors"][0]["field"] == "is_archived"
    assert not Connection.objects.filter(archived_at=None).exists()
    assert not Judge.objects.filter(archived_at=None).exists()


def test_what_a_connection_says_of_itself_is_in_the_audit_log(project):
    made = connect(project)

    setup.change_connection(project, made.id, is_stand_in=True)

    entry = AuditEntry.objects.filter(action="connection.change").get()
    assert (entry.before["is_stand_in"], entry.after["is_stand_in"]) == (False, True)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("judges/format/plan/estimate", {"spec": {"kind": "strata", "by": "duration_ms", "edges": [-(2**63)]}},
         "spec.edges"),
        ("judges/format/plan/estimate", {"spec": {"kind": "all", "filter": {"cost_usd": {"from": 1e308}}}},
         "spec.filter.cost_usd.from"),
        ("judges", {"name": "x", "kind": "rule", "rubric": "format",
                    "config": {"rules": [{"criterion": "brief", "kind": "json_schema", "schema": {"maximum": 1e300}}]}},
         "config"),
        ("judges", {"name": "x", "kind": "rule", "rubric": "format", "config": SHORT | {"mood": 1}}, "config.mood"),
        ("rubrics", {"name": "x", "spec": {**YES, "mood": 1}}, "spec.mood"),
        ("judges/format/live", {"version": 7}, "version"),
    ],
)  # fmt: skip
def test_what_could_not_be_read_again_is_refused_by_name(project, ask, path, body, field):
    rules_judge(project)

    assert ask("POST", path, body, 400)["errors"][0]["field"] == field


def test_a_refusal_does_not_repeat_a_book(project, ask):
    problem = ask("POST", "judges", {"name": "x", "kind": "y" * 50_000, "rubric": "format"}, 400)

    assert len(orjson.dumps(problem)) < 3_000


def test_numbers_of_any_size_are_refused_in_the_form_too(project, alice, sign_in):
    rules_judge(project)
    rubric = read.get_rubric(project.pk, "format").newest.id
    form = {"name": "F", "rubric": str(rubric), "rules": "1", "r-0-criterion": "brief", "r-0-kind": "json_schema"}

    for huge in ("9" * 400, "1e999", "-" + "9" * 30):
        schema = f'{{"schema": {{"maximum": {huge}}}}}'
        answer = sign_in(alice).post("/p/shop/judges/format/", form | {"r-0-settings": schema})
        assert answer.status_code == 400, huge
