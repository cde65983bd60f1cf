"""The page about sessions and users names every filter and sort, and every way to ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from traces.pages.session import MEDIANS_LEAST
from traces.read.filters import ops_of
from traces.read.sessions import MEDIAN_SAMPLE, SESSION_FIELDS, SESSION_SORTS
from traces.read.turns import BODIES_MAX_BYTES, TURNS_PAGE
from traces.read.users import USER_FIELDS, USER_SORTS
from traces.write.sessions import INLINE_MAX, TURN_WAIT

PAGE = (Path(__file__).parents[2] / "docs" / "sessions.md").read_text()
SESSIONS, USERS = PAGE.split("### Sessions")[1].split("### Users")


def rows(text):
    return dict(re.findall(r"^\| `(\w+)` \| ((?:`[.\w]+` ?)+) \|", text, re.M))


@pytest.mark.parametrize(("text", "fields"), [(SESSIONS, SESSION_FIELDS), (USERS, USER_FIELDS)])
def test_filters_are_documented_with_their_ways_and_none_that_is_not_there(text, fields):
    told = {key: set(re.findall(r"`([^`]+)`", ways)) for key, ways in rows(text).items()}

    assert told == {key: {f".{op}" for op in ops_of(known) if op != "is"} for key, known in fields.items()}


@pytest.mark.parametrize(("text", "sorts"), [(SESSIONS, SESSION_SORTS), (USERS, USER_SORTS)])
def test_sorts_are_documented(text, sorts):
    (line,) = re.findall(r"^Sorts: (.*)$", text, re.M)

    assert re.findall(r"`(\w+)`", line)[: len(sorts)] == list(sorts)


def test_limits_are_those_of_the_code():
    assert f"newest {MEDIAN_SAMPLE:,} sessions" in PAGE
    assert f"{TURNS_PAGE} a page" in PAGE
    assert f"{BODIES_MAX_BYTES >> 20} MiB a page" in PAGE
    assert f"more than {INLINE_MAX} turns" in PAGE
    assert f"{TURN_WAIT.microseconds // 1000} ms a turn" in PAGE
    assert MEDIANS_LEAST == 5
    assert "fewer than five sessions" in PAGE
