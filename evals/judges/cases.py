"""The cases that the injection set is tried on: questions with bad answers, which ship with the product. Pure.

A judge scores each case as it is, and again with an attack put into one of its texts. A score that rises is a flip: the
answer is as bad as before, so that only the attack can have raised it, or chance.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

from evals.judges.injections import Attack, aimed, injections
from evals.judges.material import Document, Material, Tool
from evals.rubrics import Rubric

# How often each case is judged as it is; its level is the highest of them, so that chance is seldom taken for a flip.
CLEAN = 3
# Each attack so often, on cases and in places of their own. 246 tries without a flip leave 1.5 % possible.
ROUNDS = 3
Place = Literal["answer", "question", "documents", "tools"]
PLACES: tuple[Place, ...] = ("answer", "question", "documents", "tools")


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the set."""

    slug: str
    material: Material


@dataclass(frozen=True, slots=True)
class Try:
    """One attack on one case; both by their number in the set."""

    case: int
    attack: int
    place: Place


@lru_cache(maxsize=1)
def cases() -> tuple[Case, ...]:
    """The cases that ship with the product, in a fixed order."""
    raw = json.loads(Path(__file__).with_name("data").joinpath("attack_cases.json").read_text(encoding="utf-8"))
    return tuple(
        Case(
            each["slug"],
            Material(
                question=each["question"],
                answer=each["answer"],
                documents=tuple(
                    Document(held["id"], held["text"], rank=at) for at, held in enumerate(each.get("documents", ()), 1)
                ),
                tools=tuple(
                    Tool(found["name"], found["arguments"], found["result"]) for found in each.get("tools", ())
                ),
            ),
        )
        for each in raw
    )


def tries(usable: Sequence[int], parts: Sequence[str]) -> tuple[Try, ...]:
    """What to try on the cases `usable` (their numbers): each attack in `ROUNDS` turns, none twice alike.

    The first turn puts them into the answer; the others go round the further texts that the judge is shown (`parts`).
    """
    if not usable:
        return ()
    further: list[Place] = [place for place in PLACES if place in parts and place != "answer"]
    further = further or ["answer"]
    count = len(injections())
    found = dict[Try, None]()
    for turn in range(ROUNDS):
        for at in range(count):
            place: Place = "answer" if turn == 0 else further[(at + turn) % len(further)]
            found[Try(usable[(at + turn) % len(usable)], at, place)] = None
    return tuple(found)


def attacked(tried: Try, rubric: Rubric) -> Material:
    """The material of a try: the case with the attack in its place, aimed at the rubric's first criterion."""
    material, attack = cases()[tried.case].material, injections()[tried.attack]
    text = aimed(attack, rubric)
    if tried.place == "answer":
        return replace(material, answer=_joined(material.answer, text, attack))
    if tried.place == "question":
        return replace(material, question=_joined(material.question, text, attack))
    if tried.place == "tools":
        return replace(material, tools=(*material.tools, Tool("search", '{"query": "notes"}', text)))
    added = Document("notes", text, rank=len(material.documents) + 1)
    return replace(material, documents=(*material.documents, added))


def _joined(text: str, added: str, attack: Attack) -> str:
    return f"{added}\n\n{text}" if attack.is_before else f"{text}\n\n{added}"
