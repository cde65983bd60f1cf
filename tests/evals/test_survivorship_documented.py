"""The examples of the page about survivorship, run as they stand; its numbers are those of the code."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from evals.read import survivorship as read
from evals.read.estimates import SCORES_MIN, WINDOW_MAX
from evals.stats.ppi import REVIEWS_MIN
from evals.stats.survivorship import bounds, calibrating, rules
from evals.surviving import choosing, keeping
from telltale.lib import clock
from tests.evals.behaviour_rows import SMALL, make_sessions
from tests.evals.documented import DOCS, commands, run
from tests.evals.estimate_rows import make_judge
from traces.read.behaviour import SAMPLE_POOL

pytestmark = pytest.mark.django_db
TEXT = (DOCS / "survivorship.md").read_text()


def test_the_examples_do_what_they_show(project, key):
    make_judge(project, kind="model")
    make_sessions(project, SMALL, start=clock.now() - timedelta(hours=48), feature="search")
    client = Client()

    whole, part, history, silent, settings, changed = [
        run(client, words, key.secret) for words in commands("survivorship.md")
    ]

    answers = (whole, part, history, silent, settings, changed)
    assert [answer.status_code for answer in answers] == [200] * 6, [answer.content for answer in answers]
    assert whole.json()["whole"]["counts"]["sessions"] == 1000
    assert part.json()["start"] == "2026-11-01T00:00:00Z"
    assert len(silent.json()["items"]) == 5
    assert changed.json()["settings"]["is_default"] is False


def test_the_numbers_of_the_page_are_those_of_the_code():
    assert f"| {bounds.VOTES_MIN} votes |" in TEXT
    assert f"{bounds.SESSIONS_MIN} sessions, {calibrating.STRATUM_VOTES_MIN} votes in every group of over 2 %" in TEXT
    assert calibrating.SHARE_MOST == 0.02
    assert f"| {REVIEWS_MIN} reviews |" in TEXT
    assert f"from {SCORES_MIN} scores on" in TEXT
    assert f"{100 * rules.TOLERANCE:.0f}\npoints as made" in TEXT
    assert (rules.COVERAGE_MIN, rules.COVERAGE_LOW) == (0.01, 0.05)
    assert f"newest {read.REVIEWS_LOOKED_AT:,} reviews since the window began, {read.REVIEWS_MAX:,} of them" in TEXT
    assert f"newest {read.JUDGED_LOOKED_AT:,} scores, of which a sample of about {read.JUDGED_KEPT:,}" in TEXT
    assert f"over {read.SESSION_MAX.days} days after their first turn" in TEXT
    assert f"(its newest {SAMPLE_POOL:,})" in TEXT
    assert f"over the {keeping.WINDOW_DAYS} days before" in TEXT
    assert f"the last {keeping.KEPT_DAYS // 7} weeks" in TEXT
    assert f"The last {keeping.REVISED_DAYS} days" in TEXT
    assert f"the {keeping.FEATURES_MOST} largest with {keeping.SESSIONS_LEAST} sessions" in TEXT
    assert keeping.AFTER.total_seconds() == 2 * 3600
    assert f"at most {WINDOW_MAX.days})" in TEXT
    assert choosing.NAMES == ("satisf", "helpful", "resol", "correct", "quality", "accura", "useful")
