"""The page about outcomes: its examples run as they stand, and its lists and limits are those of the code."""

from __future__ import annotations

import re

import pytest

from tests.evals.documented import DOCS, commands, run
from traces import measuring
from traces.outcomes import ratio
from traces.outcomes.presets import PRESETS
from traces.outcomes.spec import FACTS, KINDS, NUMBER_MAX, Measure
from traces.read.behaviour_units import TURNS_MAX

PAGE = " ".join((DOCS / "outcomes.md").read_text().split())


@pytest.mark.django_db
def test_the_examples_of_the_documentation_work(project, client, key):
    answers = [run(client, words, key.secret) for words in commands("outcomes.md")]

    codes = [answer.status_code for answer in answers]
    assert codes == [201, 201, 200, 200, 200, 200, 200, 200, 200, 200, 200, 204, 200]
    assert answers[1].json()["slug"] == "happy-ends"
    assert answers[5].json()["figure"].keys() >= {"value", "low", "high", "sessions", "unknown", "lacking"}
    assert answers[6].json()["items"][0].keys() >= {"value", "low", "high", "sessions", "unknown", "sum_x", "sum_y"}
    assert (answers[9].json()["name"], answers[9].json()["revision"]) == ("Good ends", 2)
    assert answers[12].json()["archived_at"] is None


def test_what_can_be_measured_is_told_and_nothing_else():
    assert re.findall(r"\| `(\w+)` \|", PAGE) == [each.value for each in Measure]
    (kinds,) = re.findall(r"Kinds: (.*?)\.", PAGE)
    (facts,) = re.findall(r"Facts: (.*?)\.", PAGE)
    assert re.findall(r"`(\w+)`", kinds) == sorted(KINDS)
    assert re.findall(r"`(\w+)`", facts) == sorted(FACTS)
    (shipped,) = re.findall(r"Seven are shipped, one click each: (.*?)\. ", PAGE)
    assert [re.sub(r" \(.*", "", each) for each in shipped.split(", ")] == [each.name.lower() for each in PRESETS]


def test_limits_are_those_of_the_code():
    assert f"at most {measuring.OUTCOMES_MAX} outcomes" in PAGE
    assert f"the last {measuring.TRIED_DAYS} days, at most the newest {measuring.TRIED_UNITS:,} of them" in PAGE
    assert f"more than {TURNS_MAX}, or past" in PAGE
    assert f"beyond 10^{len(f'{NUMBER_MAX:.0f}') - 1}" in PAGE
    assert f"From {ratio.SESSIONS_MIN} sessions on" in PAGE
    assert f"needs {ratio.SESSIONS_MIN} sessions and {ratio.WITH_MIN} with X; a mean {ratio.MEAN_MIN} sessions" in PAGE
    assert f"worth {ratio.WORTH_MIN} equally large sessions" in PAGE
