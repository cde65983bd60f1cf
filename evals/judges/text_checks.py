"""Rules about a text: its format, what it matches or contains, its length and language, refusals, personal data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from evals.judges import pii
from evals.judges.fields import (
    WHERE,
    Check,
    ConfigRefused,
    Outcome,
    RuleFailed,
    read_bool,
    read_choice,
    read_int,
    read_text,
    read_texts,
    text_at,
)
from evals.judges.formats import FORMATS, load_json
from evals.judges.injections import finds_injection
from evals.judges.language import CODES, detect
from evals.judges.material import Material
from evals.judges.patterns import PATTERN_CHARS_MAX, BadPattern, compile_pattern, found_in
from evals.judges.refusals import is_refusal
from evals.judges.schemas import BadSchema, TooMuchWork, check_schema, faults

QUOTE_CHARS = 200
TEXTS_MAX = 100
TEXT_CHARS_MAX = 1_000
FAULTS_SHOWN = 3
LENGTH_MAX = 10_000_000
_CODE_FENCE = re.compile(r"```[A-Za-z0-9_-]{0,20}[ \t]*\r?\n(?P<body>.*?)\r?\n?```\Z", re.DOTALL)

Told = Mapping[str, Any]
Made = tuple[dict[str, Any], Check]


def read_format(told: Told, where: str) -> Made:
    """`format`: the text as a whole is of that format."""
    name = read_choice(told.get("format"), f"{where}.format", tuple(FORMATS))
    part, may_be_fenced = _where(told, where), read_bool(told.get("may_be_fenced", False), f"{where}.may_be_fenced")
    holds = FORMATS[name]

    def check(material: Material) -> Outcome:
        text = _body(text_at(material, part), may_be_fenced)
        is_so = holds(text)
        return Outcome(is_so, f"The {part} is {'' if is_so else 'not '}of the format {name}.")

    return {"format": name, "where": part, "may_be_fenced": may_be_fenced}, check


def read_json_schema(told: Told, where: str) -> Made:
    """`schema`: the text is JSON that keeps to the schema."""
    try:
        schema = check_schema(told.get("schema"))
    except BadSchema as bad:
        raise ConfigRefused(f"{where}.schema", str(bad)) from None
    part, may_be_fenced = _where(told, where), read_bool(told.get("may_be_fenced", False), f"{where}.may_be_fenced")

    def check(material: Material) -> Outcome:
        try:
            value = load_json(_body(text_at(material, part), may_be_fenced))
        except ValueError as error:
            return Outcome(False, f"The {part} {error}.")
        try:
            found = [fault for fault, _ in zip(faults(schema, value), range(FAULTS_SHOWN), strict=False)]
        except TooMuchWork:
            raise RuleFailed("the schema takes too much work on this answer") from None
        if found:
            return Outcome(False, f"The {part} does not keep to the schema: {'; '.join(found)}.")
        return Outcome(True, f"The {part} keeps to the schema.")

    return {"schema": told["schema"], "where": part, "may_be_fenced": may_be_fenced}, check


def read_regex(told: Told, where: str) -> Made:
    """`pattern` (RE2): the text holds a match, or none (`match`: any, none, whole)."""
    source = read_text(told.get("pattern"), f"{where}.pattern", PATTERN_CHARS_MAX)
    mode = read_choice(told.get("match", "any"), f"{where}.match", ("any", "none", "whole"))
    ignore_case = read_bool(told.get("ignore_case", False), f"{where}.ignore_case")
    part = _where(told, where)
    try:
        pattern = compile_pattern(source, ignore_case)
    except BadPattern as bad:
        raise ConfigRefused(f"{where}.pattern", str(bad)) from None

    def check(material: Material) -> Outcome:
        found = found_in(pattern, text_at(material, part), is_whole=mode == "whole")
        quoted = (found[:QUOTE_CHARS],) if found else ()
        told = f"The {part} {'matches' if found is not None else 'does not match'} the pattern."
        return Outcome((found is None) if mode == "none" else (found is not None), told, quoted)

    return {"pattern": source, "match": mode, "ignore_case": ignore_case, "where": part}, check


def read_contains(told: Told, where: str) -> Made:
    """`texts`: the text holds any, all or none of them (`match`)."""
    texts = read_texts(told.get("texts"), f"{where}.texts", TEXTS_MAX, TEXT_CHARS_MAX)
    mode = read_choice(told.get("match", "any"), f"{where}.match", ("any", "all", "none"))
    ignore_case = read_bool(told.get("ignore_case", True), f"{where}.ignore_case")
    part = _where(told, where)
    wanted = tuple((text, text.casefold() if ignore_case else text) for text in texts)

    def check(material: Material) -> Outcome:
        text = text_at(material, part)
        text = text.casefold() if ignore_case else text
        found = [each for each, sought in wanted if sought in text]
        if mode == "all":
            missing = [each for each, sought in wanted if sought not in text]
            return Outcome(not missing, f"Missing in the {part}: {_list(missing)}." if missing else "All are there.")
        told = f"In the {part}: {_list(found)}." if found else f"None of them is in the {part}."
        return Outcome(bool(found) is (mode == "any"), told)

    return {"texts": list(texts), "match": mode, "ignore_case": ignore_case, "where": part}, check


def read_length(told: Told, where: str) -> Made:
    """`at_least`, `at_most`, in `unit` characters, words or lines."""
    unit = read_choice(told.get("unit", "characters"), f"{where}.unit", ("characters", "words", "lines"))
    part = _where(told, where)
    low = read_int(told.get("at_least", 0), f"{where}.at_least", 0, LENGTH_MAX)
    high = read_int(told.get("at_most", LENGTH_MAX), f"{where}.at_most", 0, LENGTH_MAX)
    if "at_least" not in told and "at_most" not in told:
        raise ConfigRefused(f"{where}.at_most", "must be given, or at_least.")
    if high < low:
        raise ConfigRefused(f"{where}.at_most", f"is {high:,}, and less than at_least ({low:,}).", f">= {low:,}")

    def check(material: Material) -> Outcome:
        text = text_at(material, part)
        n = len(text) if unit == "characters" else len(text.split() if unit == "words" else text.splitlines())
        return Outcome(low <= n <= high, f"The {part} has {n:,} {unit}.")

    settings = {name: told[name] for name in ("at_least", "at_most") if name in told}
    return {"unit": unit, "where": part, **settings}, check


def read_refusal(told: Told, where: str) -> Made:
    """The answer is no refusal; with `expected` true, it is one."""
    expected = read_bool(told.get("expected", False), f"{where}.expected")

    def check(material: Material) -> Outcome:
        refused = is_refusal(material.answer, material.finish_reason)
        return Outcome(refused is expected, f"The answer {'declines' if refused else 'does not decline'}.")

    return {"expected": expected}, check


def read_language(told: Told, where: str) -> Made:
    """`languages`: the text is in one of them; ["question"]: in the question's. Without: its code, for labels."""
    raw = told.get("languages")
    part = _where(told, where)
    if raw is None:

        def name(material: Material) -> Outcome:
            code = detect(text_at(material, part))
            return Outcome(code, f"The {part} is in “{code}”." if code else f"The language of the {part} is not clear.")

        return {"where": part}, name
    codes = read_texts(raw, f"{where}.languages", len(CODES), 8)
    for at, code in enumerate(codes):
        if code not in CODES and code != "question":
            raise ConfigRefused(f"{where}.languages[{at}]", "is no language this detector knows.", ", ".join(CODES))

    def check(material: Material) -> Outcome:
        code = detect(text_at(material, part))
        allowed = {each for each in codes if each != "question"}
        if "question" in codes:
            asked = detect(material.question)
            if asked is None and code not in allowed:
                return Outcome(None, "The language of the question is not clear.")
            allowed.add(asked or "")
        if code is None:
            return Outcome(None, f"The language of the {part} is not clear.")
        return Outcome(code in allowed, f"The {part} is in “{code}”.")

    return {"languages": list(codes), "where": part}, check


def read_pii(told: Told, where: str) -> Made:
    """The text holds none of `kinds` of personal data and secrets. What is found is counted, never quoted."""
    kinds = told.get("kinds", list(pii.DEFAULT_KINDS))
    if not isinstance(kinds, list) or not kinds or not all(each in pii.KINDS for each in kinds):
        raise ConfigRefused(f"{where}.kinds", "must be a list of kinds.", ", ".join(pii.KINDS))
    part = _where(told, where)
    looked = tuple(dict.fromkeys(kinds))

    def check(material: Material) -> Outcome:
        found = pii.find(text_at(material, part), looked)
        if not found:
            return Outcome(True, f"None found in the {part}.")
        said = ", ".join(f"{n} × {pii.NAMES[kind]}" for kind, n in found.items())
        return Outcome(False, f"In the {part}: {said}.")

    return {"kinds": list(looked), "where": part}, check


def read_injection(told: Told, where: str) -> Made:
    """Nothing that users, tools or documents wrote speaks to the judge or hides text."""

    def check(material: Material) -> Outcome:
        found = finds_injection(material)
        return Outcome(not found, f"{'Some' if found else 'No'} text addresses whoever scores it, or hides text.")

    return {}, check


def read_exact(told: Told, where: str) -> Made:
    """The answer is the expected one, of a dataset; case and spaces around and between words aside."""

    def check(material: Material) -> Outcome:
        if not material.expected:
            return Outcome(None, "No answer is expected.")
        same = _plain(material.answer) == _plain(material.expected)
        return Outcome(same, f"The answer is {'' if same else 'not '}the expected one.")

    return {}, check


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _where(told: Told, where: str) -> str:
    return read_choice(told.get("where", "answer"), f"{where}.where", WHERE)


def _body(text: str, may_be_fenced: bool) -> str:
    text = text.strip()
    if may_be_fenced and (fenced := _CODE_FENCE.match(text)):
        return fenced.group("body").strip()
    return text


def _list(texts: list[str]) -> str:
    shown = ", ".join(f"“{each[:60]}”" for each in texts[:5])
    return shown + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
