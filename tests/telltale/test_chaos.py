"""The fault suite's own rules: what it says when something is broken; the faults themselves are `make chaos`."""

from __future__ import annotations

import re

import pytest

from benchmarks.chaos import __main__ as chaos
from benchmarks.chaos.scene import SCENARIOS, Scenario, Skip, wait_for
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "chaos.md").read_text()


def played(act):
    return chaos.play(Scenario("made-up", "R1", act), quick=True, seed=1)


def holds(scene):
    """Nothing is wrong"""
    scene.hold("all is well", 3)
    scene.report.add("recovery", 2.0, "s", 30)


def misses(scene):
    """A bar is missed"""
    scene.report.add("recovery", 31.0, "s", 30)


def loses(scene):
    """A span is lost"""
    scene.hold("acknowledged spans are stored", 3, ["1 lost"])


def breaks(scene):
    """The scenario itself fails"""
    raise RuntimeError("no worker runs")


def lacks(scene):
    """Something is not installed"""
    raise Skip("rabbitmq-server is not installed")


@pytest.mark.parametrize(
    ("act", "word", "why"),
    [
        (holds, "holds", ""),
        (misses, "BROKEN", "recovery"),
        (loses, "BROKEN", "acknowledged spans are stored"),
        (breaks, "BROKEN", "RuntimeError: no worker runs"),
        (lacks, "SKIPPED", "rabbitmq-server is not installed"),
    ],
)
def test_a_scenario_is_broken_by_a_missed_bar_a_lost_span_or_its_own_failure(act, word, why, capsys):
    result = played(act)

    assert (result.word, result.why) == (word, why)
    assert word in chaos.table([result])


@pytest.mark.parametrize(("acts", "code"), [((holds, lacks), 0), ((holds, misses), 1)])
def test_a_broken_scenario_fails_the_command_and_a_skipped_one_is_counted(acts, code, monkeypatch, capsys):
    made = {f"number-{at}": Scenario(f"number-{at}", "R1", act) for at, act in enumerate(acts)}
    monkeypatch.setattr(chaos, "SCENARIOS", made)
    monkeypatch.setattr("sys.argv", ["chaos"])

    assert chaos.main() == code
    assert f"{sum(act is lacks for act in acts)} SKIPPED" in capsys.readouterr().out


def test_the_page_tells_of_every_scenario_and_of_no_other():
    told = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)

    assert sorted(told) == sorted(SCENARIOS)


def test_what_never_comes_takes_for_ever():
    assert wait_for(lambda: False, 0.01, 0.001) == float("inf")
    assert wait_for(lambda: True, 1) < 1
