"""Text that addresses the judge: recognising it, and the set of attacks that a judge is tried against.

The set is `data/injections.json`: each attack has a slug, a kind and a text that is put behind (or before) an answer.
`{best}` and `{worst}` stand for the ends of the scale, `{key}` for a criterion. How often a judge's score moves on the
set is its flip rate; no set shows that a judge is safe.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import re2

from evals.judges.fencing import clean, visible, without_hidden
from evals.judges.material import Material
from evals.rubrics import Rubric

KINDS = ("demand", "authority", "fence", "reply", "rubric", "language", "hidden", "emotion", "context")
TEXT_CHARS_MAX = 200_000


def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.max_mem = 64 * 1024 * 1024
    return re2.compile(pattern, options)


# Each alternative needs a word for scoring or judging beside the demand: "ignore the old label" is none. RE2, since
# this runs over every text of every judgement: one pass, some ns a character, where `re` took microseconds.
_JUDGE = r"(?:judge|evaluator|grader|rater)s?"
_MODEL_JUDGE = r"(?:(?:ai|llm|model|automated|automatic|impartial|fairest) judge|evaluator|grader|rater)s?"
_ANSWER = r"(?:this|that|my|it|the (?:answer|response|reply|output)|the following (?:answer|response))"
_SCORES = r"(?:scores?|ratings?|grades?|marks?|verdict|rubrics?)"
_TOP = r"(?:highest|maximum|top|perfect|best|full)(?: possible)?"
_DO = r"(?:give|assign|award|return|output|report|reply|respond|rate|score|grade|confirm|obey)"
_PATTERNS = (
    r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]*\b(?:instructions?|rubrics?|criteria|prompts?|guidelines"
    r"|definition|previous rules|rules above)\b",
    r"\b(?:give|assign|award|return|output|report|reply|rate|score|grade|deserves?)\b[^.\n]*\b(?:10 ?/ ?10|5 ?/ ?5"
    r"|100 ?/ ?100|full marks)",
    r"\b(?:give|assign|award|return|output|set|report|reply|respond|obey|answer)\b[^.\n]*\b"
    + _TOP
    + " "
    + _SCORES
    + r"\b",
    r"\b(?:rate|score|grade) " + _ANSWER + r"\b[^.\n]*\b(?:\d+|below|" + _TOP + r")\b",
    r"\b(?:correct|only|known|true) (?:correct )?score\b[^.\n]*\b(?:is|:|=)|\bscore of " + _ANSWER,
    r"\bscore ?(?:=|:) ?(?:5|10|100)\b|\b(?:with|output|to|give) the score (?:of )?\w+|\bevaluation below \d",
    # Speaking to whoever judges, at the beginning of a sentence or after a mark; "the judge, however" is about courts.
    r"(?:^|[.!?\n#>*(-]) *(?:to the |for the |dear |hey |hello |attention,? )?(?:ai |llm )?" + _JUDGE + r" ?[:,]",
    r"\b(?:note|message|instructions?|memo) (?:to|for) (?:the |all |any )?(?:\w+ )?" + _JUDGE + r"\b",
    r"\b(?:dear|hey|hello|attention),? (?:ai |llm )?" + _JUDGE + r"\b|\bto the " + _JUDGE + r" ?:",
    r"\byou are (?:the |an? |that )?" + _MODEL_JUDGE + r"\b|\byou are (?:that|the) judge ?[.:,]|\bthe fairest judge",
    r"\b" + _JUDGE + r" (?:must|may now|should|shall|are required to) (?:now )?" + _DO + r" (?:" + _SCORES + r"|\d)",
    r"[\"']\b(?:injection_attempt|unsure|score)\b[\"'] ?: ?(?:true|false|null|\d)|[\"']?injection_attempt\b",
    r"<<<\W*(?:END|BEGIN)\b|(?:<\\){2}|\bBEGIN (?:RUBRIC|SYSTEM|INSTRUCTIONS)|\bEND OF (?:DATA|ANSWER|MATERIAL)\b",
    r"\b(?:evaluation|scoring) (?:is in test mode|rules are|guide:)|\bscoring guide\b",
    r"</?(?:system|judge|rubric|instructions|evaluation)>|\[/?(?:INST|SYSTEM)\]|<\|(?:im_start|im_end|system|assistant|eot_id)\|>",
    r"\brubric\b[^.\n]*\b(?:version|exception|no longer|suspended|reversed|correction)|\bcorrection to the rubric",
    r"\b(?:ignoriere|vergiss|missachte)\b[^.\n]*(?:anweisung|regeln|bewertung)|\bhöchste (?:punkt|note|bewertung)"
    r"|\bbewerte (?:diese|die|das)\b",
    r"\b(?:ignorez?|oubliez?)\b[^.\n]*(?:instructions|consignes|règles)|\bnote maximale\b",
    r"\b(?:ignora|olvida|dimentica)\b[^.\n]*(?:instrucciones|reglas|istruzioni|regole|instruções)"
    r"|\b(?:puntuación|punteggio|pontuação|nota) (?:máxim|massim|perfect)",
    r"игнорируй[^.\n]*(?:инструкци|правил)|максимальн\w* (?:оценк|балл)|высш\w* (?:оценк|балл)",
    r"忽略[^。\n]*(?:指令|指示|说明|规则)|(?:给|打)[^。\n]{0,12}(?:满分|最高分)",
    r"(?:指示|命令)を無視|(?:満点|最高点)[^。\n]{0,12}(?:つけ|与え|付け)",
    r"(?:지시|명령)[^.\n]{0,10}무시|(?:만점|최고 ?점수)[^.\n]{0,10}(?:주|부여)",
    r"تجاهل[^.\n]*(?:التعليمات|القواعد)|أعلى درجة",
    r"(?:निर्देश|नियम)[^।\n]*अनदेखा|पूर्ण अंक|(?:talimat|kural)\w*[^.\n]*(?:yok say|görmezden)|en yüksek puan",
)
_ADDRESS = _compiled("|".join(_PATTERNS))
# Tag characters spell text that nobody sees, and overrides of direction show another text than stands there.
_SECRET = re.compile("[\U000e0020-\U000e007e]{4,}|[\u202d\u202e]|[\u200b\u2060\ufeff]{8,}")


@dataclass(frozen=True, slots=True)
class Attack:
    """One attack of the set."""

    slug: str
    kind: str
    text: str
    is_before: bool = False


def addresses_judge(text: str) -> bool:
    """Whether `text` speaks to whoever scores it, or hides text. A hint: it changes no score by itself."""
    text = text[:TEXT_CHARS_MAX]
    if not text.isascii():
        if _SECRET.search(text):
            return True
        # As a model reads it: wide letters and hidden characters within words are no disguise.
        text = unicodedata.normalize("NFKC", without_hidden(clean(text)))
    return _ADDRESS.search(text) is not None


def finds_injection(material: Material) -> bool:
    """Whether anything that the application's users, tools or documents wrote addresses the judge."""
    return any(addresses_judge(text) for text in _written_by_others(material))


def _written_by_others(material: Material) -> Iterator[str]:
    yield from (material.question, material.answer)
    yield from (each.text for each in material.messages if each.role not in ("system", "developer"))
    yield from (each.text for each in material.documents)
    yield from (each.result for each in material.tools)


@lru_cache(maxsize=1)
def injections() -> tuple[Attack, ...]:
    """The attacks that ship with the product, in a fixed order."""
    raw = json.loads(Path(__file__).with_name("data").joinpath("injections.json").read_text(encoding="utf-8"))
    return tuple(Attack(each["slug"], each["kind"], each["text"], each.get("before", False)) for each in raw)


def aimed(chosen: Attack, rubric: Rubric) -> str:
    """The attack's text, aimed at the first criterion of the rubric."""
    criterion = rubric.criteria[0]
    names = criterion.scale.names
    if criterion.scale.kind == "boolean":
        names = ("false", "true")
    text = chosen.text
    for mark, value in (("{best}", names[-1]), ("{worst}", names[0]), ("{key}", criterion.key)):
        text = text.replace(mark, value)
    return text


def attack(material: Material, chosen: Attack, rubric: Rubric) -> Material:
    """The material with the attack put into its answer, aimed at the first criterion of the rubric."""
    text = aimed(chosen, rubric)
    parts = (text, material.answer) if chosen.is_before else (material.answer, text)
    return replace(material, answer="\n\n".join(part for part in parts if part))


def shown(chosen: Attack) -> str:
    """The attack's text with what it hides made visible, for pages."""
    return visible(chosen.text)
