"""What is vague in a rubric: remarks on criteria that two readers of the same text would score differently.

A criterion has to be observable from the text alone, ask one thing, and say what earns each level. The checks are about
words, in English; a remark is a hint and never stops anybody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evals.rubrics.kinds import BOOLEAN, LABELS, POINTS, Criterion, Rubric

DEFINITION_WORDS_MIN = 6
LEVELS_FEW = 10
# Criteria that share so much of their words ask the same. On the presets the largest share is below .4.
OVERLAP = 0.5

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)?")


def _listed(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Praise and blame that say nothing about what stands in the text.
_VAGUE = _listed(
    "good bad better best nice great poor fine excellent adequate inadequate acceptable appropriate appropriately "
    "proper properly suitable suitably reasonable reasonably satisfactory decent quality well "
    "helpful useful valuable effective professional natural engaging interesting sufficient sufficiently smart "
    "intelligent reliable robust optimal ideal perfect strong weak overall generally"
)
# What happens in heads, in the world or on the clock, and is not in the text that is judged.
_UNSEEN = _listed(
    "feel feels felt happy satisfied satisfaction understands believes believe intended intends intention wants "
    "liked likes enjoys trusts delighted frustrated annoyed truthful honest honestly thinks knows intuitive fast "
    "slow quickly quick latency speed cost expensive cheap"
)
# Families of things to ask; two of them in one criterion are two criteria.
_ASKED: dict[str, frozenset[str]] = {
    "correctness": _listed("correct correctly correctness accurate accuracy"),
    "completeness": _listed("complete completely completeness thorough"),
    "tone": _listed("tone polite politely politeness friendly rude courteous respectful"),
    "safety": _listed("safe safely safety harmful harmless"),
    "relevance": _listed("relevant relevance irrelevant"),
    "brevity": _listed("concise conciseness brief brevity short"),
    "clarity": _listed("clear clarity fluent fluency coherent coherence readable"),
    "groundedness": _listed("grounded groundedness hallucination hallucinated hallucinating"),
}  # fmt: skip
_FAULTS = _listed(
    "toxicity toxic hallucination hallucinations error errors harm harmful bias biased refusal violation "
    "injection leak rudeness profanity"
)
_FREE = _listed("no not without free from resists absence none avoids")
_PLAIN = _listed(
    "the a an and or of to in is it that for as with this be by not no are at on its any all each answer question "
    "user every text which what there than does has have from if one other"
)


@dataclass(frozen=True, slots=True)
class Remark:
    """What could be clearer in a criterion (its key; "" for the rubric as a whole)."""

    criterion: str
    text: str


def lint(rubric: Rubric) -> tuple[Remark, ...]:
    """Remarks in the order of the criteria, those on the rubric as a whole last. None: nothing was found."""
    remarks = [Remark(each.key, text) for each in rubric.criteria for text in _criterion(each)]
    remarks += _overlaps(rubric)
    if not any(each.examples for each in rubric.criteria) and len(rubric.criteria) == 1 and remarks:
        remarks.append(Remark("", "There is no example. One answer for each end of the scale settles most arguments."))
    return tuple(remarks)


def _criterion(criterion: Criterion) -> list[str]:
    words = _words(criterion.definition)
    found: list[str] = []
    if len(words) < DEFINITION_WORDS_MIN:
        found.append("The definition is very short. Say what in the answer earns which level.")
    if vague := _named(words, _VAGUE):
        found.append(f"{vague} cannot be observed. Say what stands in the text, or does not, when it holds.")
    if unseen := _named(words, _UNSEEN):
        found.append(f"{unseen} cannot be read from the text, so a judge has to guess it.")
    asked = [name for name, family in _ASKED.items() if family & set(words)]
    if len(asked) > 1:
        found.append(f"It asks for several things at once ({', '.join(asked)}). Make each a criterion of its own.")
    elif re.search(r"(?:\band\b|/|&)", criterion.title.lower()) and len(_words(criterion.title)) > 1:
        found.append("The title names two things. Make each a criterion of its own.")
    return found + _scale(criterion)


def _scale(criterion: Criterion) -> list[str]:
    scale, found = criterion.scale, []
    if scale.kind == POINTS:
        ends = {str(scale.low), str(scale.high)}
        if not scale.anchors:
            found.append("No level says what earns it. Describe at least the lowest, a middle and the highest one.")
        elif not ends <= set(scale.anchors):
            found.append("An end of the scale has no description.")
        elif len(scale.levels) > 2 and len(scale.anchors) < 3:
            found.append("Only the ends of the scale are described; the levels between are left to taste.")
        if len(scale.levels) > LEVELS_FEW:
            found.append(f"Nobody tells {len(scale.levels)} levels apart. Five usually do; ten at most.")
    if scale.kind == LABELS and (bare := [label for label in scale.labels if label not in scale.anchors]):
        shown = ", ".join(f"“{label}”" for label in bare[:3]) + (", …" if len(bare) > 3 else "")
        found.append(f"Nothing says what earns the label {shown}.")
    names = set(_words(criterion.title))
    if scale.kind in (POINTS, BOOLEAN) and names & _FAULTS and not names & _FREE:
        top = "Yes" if scale.kind == BOOLEAN else str(scale.high)
        found.append(f"The title names a fault, and {top} has to mean that there is none. Turn the title round.")
    return found


def _overlaps(rubric: Rubric) -> list[Remark]:
    found = []
    contents = [set(_words(f"{each.title} {each.definition}")) - _PLAIN for each in rubric.criteria]
    for at, criterion in enumerate(rubric.criteria):
        for before, other in enumerate(rubric.criteria[:at]):
            union = contents[at] | contents[before]
            same = len(contents[at] & contents[before]) / len(union) if union else 0.0
            if same >= OVERLAP or criterion.title.casefold() == other.title.casefold():
                found.append(Remark(criterion.key, f"It asks nearly the same as “{other.title}”. Count a fault once."))
    return found


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _named(words: list[str], listed: frozenset[str]) -> str:
    found = list(dict.fromkeys(word for word in words if word in listed))
    return " and ".join(filter(None, (", ".join(f"“{w}”" for w in found[:-1][:3]), f"“{found[-1]}”"))) if found else ""
