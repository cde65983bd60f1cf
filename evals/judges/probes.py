"""Bias probes: the same target shown to a judge again, as it is or altered in one way that should change nothing.

A probe is a judgement whose `repeat` says how its material is altered; it is never a score of its target. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from evals.judges.injections import attack, injections
from evals.judges.material import Document, Material
from evals.rubrics import Rubric

REPEAT, LENGTH, POSITION, INJECTION = "repeat", "length", "position", "injection"
KINDS = (REPEAT, LENGTH, POSITION, INJECTION)
# Which numbers of `repeat` belong to which probe: one number is one alteration.
_FIRST = {REPEAT: 1, LENGTH: 100, POSITION: 200, INJECTION: 1_000}
# Sentences that say nothing, for the padded twin of an answer.
PADDING = (
    "To put it in other words, the points made here are the ones that matter for the question that was asked.",
    "It is worth keeping in mind that what is said above is meant to be read as a whole.",
    "As with any answer of this kind, the details given should be understood in the light of the question.",
    "In short, this covers the question, and nothing further needs to be added to what has been said.",
)


def number_of(kind: str, at: int = 0) -> int:
    """The `repeat` of a probe: the at-th of its kind, which for injections is the at-th attack of the set."""
    return _FIRST[kind] + at


def kind_of(repeat: int) -> str:
    """The probe that a `repeat` belongs to; "" for 0, a judgement proper."""
    return next((kind for kind in reversed(KINDS) if repeat >= _FIRST[kind]), "") if repeat else ""


def alter(material: Material, repeat: int, rubric: Rubric) -> Material:
    """What a judge is shown for a probe. An alteration that does not apply leaves the material as it is."""
    kind = kind_of(repeat)
    if kind == LENGTH:
        return replace(material, answer=padded(material.answer))
    if kind == POSITION:
        return replace(material, documents=turned(material.documents))
    if kind == INJECTION:
        attacks = injections()
        return attack(material, attacks[(repeat - _FIRST[INJECTION]) % len(attacks)], rubric)
    return material


def padded(answer: str) -> str:
    """The answer about twice as long, with nothing more in it."""
    added: list[str] = []
    while not added or (sum(map(len, added)) < len(answer) and len(added) < 200):
        added.append(PADDING[len(added) % len(PADDING)])
    return f"{answer}\n\n{' '.join(added)}"


def turned(documents: tuple[Document, ...]) -> tuple[Document, ...]:
    """The documents in the opposite order; each keeps its id and its text."""
    return tuple(replace(document, rank=at) for at, document in enumerate(reversed(documents), 1))
