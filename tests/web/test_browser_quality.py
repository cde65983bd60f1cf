"""Quality and scores in the browser: readable in both themes and on a phone, without violations and without scripts."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import orjson
import pytest
from django.db import connection
from django.test import Client

from evals.models import Calibration
from telltale.lib import clock
from telltale.projects import keys
from telltale.projects.models import Project
from tests.evals.estimate_rows import make_judge, make_traffic
from tests.web.looks import EVERY_LOOK, LOOKS, fits, forget_stored

pytestmark = pytest.mark.browser
TRACE = "0af7651916cd43dd8448eb211c80319c"
BOTH = LOOKS | {"dark phone": LOOKS["dark"] | LOOKS["phone"]}
COLUMNS = "time,said,scores,flagged,score.tone,score.quality/correctness"


@pytest.fixture
def project(alice):
    """alice's project."""
    forget_stored()
    yield Project.objects.get(slug="shop")
    forget_stored()


@pytest.fixture
def judged(project):
    """A judge that people corrected, one that fails often, one that saw little, over four days."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    version = make_judge(project)
    make_traffic(project, version, start=hour - timedelta(days=4), hours=96, an_hour=25, reviewed=0.2)
    Calibration.objects.create(
        project=project, judge_version=version, criterion="correctness", result={}, verdict="failed", pairs=240,
        reviewers=3, expires_at=clock.now() + timedelta(days=30),
    )  # fmt: skip
    rules = make_judge(project, slug="rules", name="Format and politeness rules with a rather long name", kind="rule")
    make_traffic(project, rules, start=hour - timedelta(days=4), hours=96, seed=3, failed=0.2, plan_id=5)
    little = make_judge(project, slug="little", name="Little", kind="model")
    make_traffic(project, little, start=hour - timedelta(hours=1), hours=1, an_hour=10, seed=4, plan_id=6)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the server does by itself within a minute
    return project


@pytest.fixture
def scored(project):
    """A trace of a session with scores of a judge and of a program: on itself, its span and its session."""
    key = keys.make_key(project, "Test", ("ingest", "read", "write"))
    client = Client(headers={"Authorization": f"Bearer {key.secret}"})

    def post(address, body):
        answer = client.post(address, orjson.dumps(body), "application/json")
        assert answer.status_code == 200, answer.content

    post("/api/v1/traces", {"trace_id": TRACE, "id": "b7ad6b7169203331", "name": "answer", "input": "Where is it?",
                            "output": "In Bern.", "kind": "generation", "model": "m", "session": "s-1"})  # fmt: skip
    words = "The answer names a town that no document has. " * 12
    post("/api/v1/scores", [
        {"trace_id": TRACE, "name": "tone", "value": 4, "comment": words, "evidence": ["In Bern.", "x" * 300]},
        {"trace_id": TRACE, "span_id": "b7ad6b7169203331", "name": "grounded", "value": False},
        {"session_id": "s-1", "name": "resolved", "value": True, "comment": "in one turn"},
    ])  # fmt: skip
    version = make_judge(project)
    about = [project.pk, version.judge_id, version.pk]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_judgement (project_id, judge_id, judge_version_id, judgement_id, target_kind, target_id,"
            " purpose, pi, state, next_at, made_at, started_at, is_flagged)"
            " VALUES (%s, %s, %s, 7, 1, %s, 1, 0.05, 'scored', now(), now(), now(), true)",
            [*about, UUID(TRACE)],
        )
        cursor.execute(
            "INSERT INTO evals_score (project_id, judge_id, judge_version_id, rubric_version_id, score_id, source,"
            " target_kind, trace_id, started_at, name, data_type, number, comment, judgement_id, pi, made_at,"
            " updated_at)"
            " VALUES (%s, %s, %s, %s, 7, 1, 1, %s, now(), 'correctness', 1, 2, %s, 7, 0.05, now(), now())",
            [*about, version.rubric_version_id, UUID(TRACE), words],
        )
    return project


@pytest.mark.parametrize("look", BOTH)
def test_the_quality_page_is_readable(judged, enter, axe, look):
    page = enter("/p/shop/quality/", **BOTH[look])

    assert "As people see it, answers score" in page.inner_text("h1")
    assert page.locator(".qcard").count() == 9
    assert page.locator("figure.chart").count() >= 4
    page.get_by_text("Show as a table").first.click()
    assert axe(page) == []
    assert fits(page)


@pytest.mark.parametrize("look", ["light", "phone"])
def test_an_empty_quality_page_is_readable(project, enter, axe, look):
    page = enter("/p/shop/quality/", **LOOKS[look])

    assert "No judge yet" in page.inner_text("main")
    assert axe(page) == []
    assert fits(page)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("address", [f"traces/{TRACE}/", "sessions/s-1/", f"traces/?columns={COLUMNS}"])
def test_scores_on_traces_are_readable(scored, enter, axe, look, address):
    page = enter(f"/p/shop/{address}", **LOOKS[look])

    assert "tone" in page.inner_text("main").lower()
    assert axe(page) == []
    assert fits(page)


def test_the_quality_page_reads_without_scripts(judged, enter):
    page = enter("/p/shop/quality/", **EVERY_LOOK["without scripts"])

    page.get_by_role("link", name="By model").click()

    assert "by model" in page.inner_text("#by-h")
    assert page.locator("#by tbody tr").count() == 2


def test_a_card_and_a_point_open_their_traces(judged, enter):
    page = enter("/p/shop/quality/")

    page.locator(".qcard a", has_text="scores").first.click()
    assert "/traces/?counted=quality%401%2F" in page.url
    page.go_back()
    page.get_by_text("Show as a table").first.click()
    page.locator("details.data[open] tbody a").first.click()
    assert "/traces/?counted=quality%401%2F" in page.url
