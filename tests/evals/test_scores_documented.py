"""The examples of the pages about scores and quality, run as they stand; their names and limits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from evals import scoring
from evals.api.estimates import BYS
from evals.pages.quality import DAILY_UP_TO, HOURLY_UP_TO
from evals.read import score_terms
from evals.read.estimates import HOUR_POINTS_MAX, SCORES_MIN, WINDOW_MAX
from evals.stats.nonresponse import NONRESPONSE_FLAG, RAISED_MAX
from evals.stats.ppi import REVIEWS_MIN
from evals.stats.weighted import DESIGN_EFFECT_SAID
from telltale.lib import clock
from telltale.projects import keys
from tests.evals.documented import DOCS, commands, run
from tests.evals.estimate_rows import make_judge, make_traffic

pytestmark = pytest.mark.django_db
SCORES, QUALITY = ((DOCS / name).read_text() for name in ("scores.md", "quality.md"))
TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "id": "00f067aa0ba902b7", "name": "answer", "input": "x"}


@pytest.fixture(autouse=True)
def fresh_keys():
    keys.cache.clear()
    yield
    keys.cache.clear()


def test_the_examples_of_scores_do_what_they_show(project, key):
    client = Client()
    client.post("/api/v1/traces", TRACE, "application/json", headers={"Authorization": f"Bearer {key.secret}"})

    put, low, lines, names, found = [run(client, words, key.secret) for words in commands("scores.md")]

    assert [item["status"] for item in put.json()["items"]] == ["created"] * 3
    assert [score["external_id"] for score in low.json()["items"]] == ["nightly-1"]
    assert len(b"".join(lines.streaming_content).splitlines()) == 2
    assert names.json()["items"] == ["groundedness", "polite", "resolved"]
    assert [trace["trace_id"] for trace in found.json()["items"]] == [TRACE["trace_id"]]


def test_the_examples_of_quality_do_what_they_show(project, key):
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    make_traffic(project, make_judge(project), start=hour - timedelta(days=2), reviewed=0.3)

    answers = [run(Client(), words, key.secret) for words in commands("quality.md")]

    assert [answer.status_code for answer in answers] == [200] * 4
    whole, days, features, unknown = (answer.json()["items"] for answer in answers)
    assert {row["criterion"] for row in whole} == {"correctness", "polite", "_flag"}
    assert {row["criterion"] for row in days} == {"correctness"}
    assert {row["key"] for row in features} == {"", "chat", "search"}
    assert 0 < unknown[0]["scores"] < whole[0]["scores"]


def test_what_the_pages_name_is_what_there_is():
    assert all(f"`{name}`" in QUALITY for name in BYS)
    for known in score_terms.FIELDS:
        assert f"`{known.key}" in SCORES
    for limit in (scoring.ITEMS_MAX, scoring.ID_CHARS_MAX, scoring.TEXT_CHARS_MAX, scoring.EVIDENCE_CHARS_MAX):
        assert f"{limit:,}" in SCORES
    assert scoring.EVIDENCE_MAX == 20
    assert (SCORES_MIN, REVIEWS_MIN, NONRESPONSE_FLAG, RAISED_MAX, DESIGN_EFFECT_SAID) == (20, 30, 0.05, 4.0, 3.0)
    assert (WINDOW_MAX.days, HOUR_POINTS_MAX.days, DAILY_UP_TO.days, HOURLY_UP_TO.days) == (400, 14, 62, 2)
