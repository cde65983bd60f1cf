"""The page about judges names every kind of rule, every setting and every word of the expressions."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evals.calling.kinds import KINDS
from evals.judges.checks import KINDS as RULES
from evals.judges.config import PARTS
from evals.judges.expression import NAMES, STEPS_MAX
from evals.judges.expression_values import FUNCTIONS, METHODS
from evals.judges.formats import FORMATS
from evals.judges.injections import KINDS as ATTACKS
from evals.judges.injections import injections
from evals.judges.language import CODES
from evals.judges.pii import KINDS as PII
from evals.judges.schemas import STEPS_MAX as SCHEMA_STEPS_MAX

PAGE = Path(__file__).resolve().parents[2].joinpath("docs", "judges.md").read_text(encoding="utf-8")
ROWS = {match[1]: match[0] for match in re.finditer(r"^\| `(\w+)` \|.*$", PAGE, re.MULTILINE)}


@pytest.mark.parametrize("kind", RULES)
def test_rule_has_its_row_with_every_setting(kind):
    settings = RULES[kind][1] - {"where"}

    assert all(f"`{name}`" in ROWS[kind] for name in settings)


@pytest.mark.parametrize("name", [*NAMES, *FUNCTIONS, *METHODS, *PARTS, *FORMATS, *KINDS])
def test_word_is_named(name):
    assert f"`{name}`" in PAGE


def test_figures_of_the_page_are_those_of_the_code():
    assert f"{len(injections())} attacks" in PAGE
    assert f"{len(CODES)} languages" in PAGE
    assert f"{STEPS_MAX:,} steps" in PAGE
    assert f"{SCHEMA_STEPS_MAX:,} keywords" in PAGE
    assert all(kind in ROWS["pii"] for kind in PII)


def test_each_kind_of_attack_is_in_the_set():
    assert {each.kind for each in injections()} == set(ATTACKS)
