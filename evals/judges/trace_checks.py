"""Rules about how an answer came about: time, money, tokens, errors, tools, and what was retrieved for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from evals.judges.documents import judge_documents
from evals.judges.expression import BadExpression, compile_expression
from evals.judges.expression_values import ExpressionFailed
from evals.judges.fields import (
    Check,
    ConfigRefused,
    Outcome,
    RuleFailed,
    read_bool,
    read_choice,
    read_int,
    read_number,
    read_text,
    read_texts,
)
from evals.judges.material import Material

PICO = 1_000_000_000_000
MS_MAX = 86_400_000
USD_MAX = Decimal(100_000)
TOKENS_MAX = 100_000_000
DOCUMENTS_MAX = 1_000
MISSING_SHOWN = 5
_CITED = re.compile(r"\[(\d{1,3})\]|【(\d{1,3})[^】]{0,40}】")
_MARKS = re.compile("[.,']")
_NUMBER = re.compile(r"\d+(?:[.,']\d+)*")

Told = Mapping[str, Any]
Made = tuple[dict[str, Any], Check]


def read_latency(told: Told, where: str) -> Made:
    """`at_most_ms` until the end, or until the first token (`of`: duration, ttft)."""
    limit = read_int(told.get("at_most_ms"), f"{where}.at_most_ms", 0, MS_MAX)
    of = read_choice(told.get("of", "duration"), f"{where}.of", ("duration", "ttft"))

    def check(material: Material) -> Outcome:
        took = material.duration_ms if of == "duration" else material.ttft_ms
        if took is None:
            return Outcome(None, "The time is not known.")
        return Outcome(took <= limit, f"It took {took:,.0f} ms; at most {limit:,} ms.")

    return {"at_most_ms": limit, "of": of}, check


def read_cost(told: Told, where: str) -> Made:
    """`at_most_usd`, exactly: a number or a text such as "0.0015"."""
    raw = told.get("at_most_usd")
    try:
        usd = Decimal(str(raw)) if isinstance(raw, str | int | float) and not isinstance(raw, bool) else Decimal("NaN")
    except InvalidOperation:
        usd = Decimal("NaN")
    if not usd.is_finite() or not 0 <= usd <= USD_MAX:
        raise ConfigRefused(f"{where}.at_most_usd", f"must be a number from 0 to {USD_MAX:,}.", f"0 to {USD_MAX:,}")
    limit = int(usd * PICO)

    def check(material: Material) -> Outcome:
        if material.cost_pico is None:
            return Outcome(None, "The cost is not known.")
        spent = Decimal(material.cost_pico) / PICO
        return Outcome(material.cost_pico <= limit, f"It cost ${spent:f}; at most ${usd:f}.")

    return {"at_most_usd": str(raw)}, check


def read_tokens(told: Told, where: str) -> Made:
    """`at_most` tokens of the answer, or of the prompt (`of`: output, input)."""
    limit = read_int(told.get("at_most"), f"{where}.at_most", 0, TOKENS_MAX)
    of = read_choice(told.get("of", "output"), f"{where}.of", ("output", "input"))

    def check(material: Material) -> Outcome:
        n = material.output_tokens if of == "output" else material.input_tokens
        if n is None:
            return Outcome(None, "The number of tokens is not known.")
        return Outcome(n <= limit, f"{n:,} tokens; at most {limit:,}.")

    return {"at_most": limit, "of": of}, check


def read_no_error(told: Told, where: str) -> Made:
    """The trace did not fail, and no tool of it did (`tools` false: those do not count)."""
    with_tools = read_bool(told.get("tools", True), f"{where}.tools")

    def check(material: Material) -> Outcome:
        failed = [each.name for each in material.tools if each.error] if with_tools else []
        if material.error_type:
            return Outcome(False, f"It failed: {material.error_type[:100]}.")
        if failed:
            return Outcome(False, f"Tools failed: {', '.join(name[:60] for name in failed[:MISSING_SHOWN])}.")
        return Outcome(True, "Nothing failed.")

    return {"tools": with_tools}, check


def read_finish(told: Told, where: str) -> Made:
    """`reasons`: the model ended for one of them."""
    reasons = read_texts(told.get("reasons", ["stop"]), f"{where}.reasons", 20, 60)

    def check(material: Material) -> Outcome:
        if not material.finish_reason:
            return Outcome(None, "Why the model ended is not known.")
        return Outcome(material.finish_reason in reasons, f"The model ended with “{material.finish_reason[:60]}”.")

    return {"reasons": list(reasons)}, check


def read_tools(told: Told, where: str) -> Made:
    """`called`: all of these tools were called; `not_called`: none of those was."""
    wanted = read_texts(told["called"], f"{where}.called", 50, 200) if "called" in told else ()
    unwanted = read_texts(told["not_called"], f"{where}.not_called", 50, 200) if "not_called" in told else ()
    if not wanted and not unwanted:
        raise ConfigRefused(f"{where}.called", "must be given, or not_called.")

    def check(material: Material) -> Outcome:
        names = {each.name for each in material.tools}
        missing, found = [n for n in wanted if n not in names], [n for n in unwanted if n in names]
        said = [f"not called: {', '.join(missing)}"] if missing else []
        said += [f"called: {', '.join(found)}"] if found else []
        return Outcome(not said, f"{'; '.join(said).capitalize()}." if said else "The tools are as they should be.")

    settings = {name: list(names) for name, names in (("called", wanted), ("not_called", unwanted)) if names}
    return settings, check


def read_documents(told: Told, where: str) -> Made:
    """`at_least` documents were retrieved; with `score_at_least`, so many that the retriever gave that score."""
    least = read_int(told.get("at_least", 1), f"{where}.at_least", 1, DOCUMENTS_MAX)
    score = read_number(told["score_at_least"], f"{where}.score_at_least") if "score_at_least" in told else None

    def check(material: Material) -> Outcome:
        n = len(material.documents)
        if score is None:
            return Outcome(n >= least, f"{n} documents were retrieved.")
        known = [each.score for each in material.documents if each.score is not None]
        good = sum(each >= score for each in known)
        unknown = n - len(known)
        if good < least <= good + unknown:
            return Outcome(None, f"{unknown} of {n} documents have no score.")
        return Outcome(good >= least, f"{good} of {n} documents have a score of {score:g} or more.")

    return {"at_least": least, **({} if score is None else {"score_at_least": score})}, check


def read_cites(told: Told, where: str) -> Made:
    """The answer cites `at_least` documents, by their number in brackets or their id, and none that is not there."""
    least = read_int(told.get("at_least", 1), f"{where}.at_least", 1, DOCUMENTS_MAX)

    def check(material: Material) -> Outcome:
        n = len(material.documents)
        if not n:
            return Outcome(None, "No documents were retrieved.")
        numbers = {int(a or b) for a, b in _CITED.findall(material.answer)}
        unknown = sorted(each for each in numbers if not 1 <= each <= n)
        if unknown:
            shown = ", ".join(map(str, unknown[:MISSING_SHOWN]))
            return Outcome(False, f"The answer cites {shown}, and there are {n} documents.")
        cited = {at for at, each in enumerate(material.documents, 1) if len(each.id) > 2 and each.id in material.answer}
        return Outcome(len(cited | numbers) >= least, f"The answer cites {len(cited | numbers)} of {n} documents.")

    return {"at_least": least}, check


def read_relevance(told: Told, where: str) -> Made:
    """A document shares `at_least` (0..1) of the question's words; each document's relevance is told as well."""
    least = read_number(told.get("at_least", 0.5), f"{where}.at_least", 0, 1)
    of = read_choice(told.get("of", "best"), f"{where}.of", ("best", "mean"))

    def check(material: Material) -> Outcome:
        if not material.documents:
            return Outcome(None, "No documents were retrieved.")
        found = judge_documents(material)
        if found is None:
            return Outcome(None, "The question has no words to look for.")
        values = [each.relevance for each in found]
        value = max(values) if of == "best" else sum(values) / len(values)
        told = f"Words of the question in the documents, {of}: {value:.0%}; at least {least:.0%}."
        return Outcome(value >= least, told, documents=found)

    return {"at_least": least, "of": of}, check


def read_numbers(told: Told, where: str) -> Made:
    """Every number of the answer, single digits aside, is in the documents, the question or a tool's result."""

    def check(material: Material) -> Outcome:
        if not material.documents and not material.tools:
            return Outcome(None, "Nothing was retrieved to compare with.")
        missing = {each for each in _numbers(_uncited(material.answer)) if len(each) > 1}
        for text in (material.question, *(d.text for d in material.documents), *(t.result for t in material.tools)):
            if missing:
                missing -= _numbers(text)
        if not missing:
            return Outcome(True, "Every number of the answer is in its sources.")
        shown = tuple(sorted(missing)[:MISSING_SHOWN])
        return Outcome(False, f"In no source: {', '.join(shown)}.", shown)

    return {}, check


def _uncited(answer: str) -> str:
    return _CITED.sub(" ", answer) if "[" in answer or "【" in answer else answer


def _numbers(text: str) -> set[str]:
    """Numbers as they are read, however thousands are marked: 1,200 and 1.200 and 1200 are one; so is 9.50 and 9.5."""
    return {each if each.isdigit() else _canonical(each) for each in _NUMBER.findall(text)}


def _canonical(number: str) -> str:
    parts = _MARKS.split(number)
    if all(len(part) == 3 for part in parts[1:]) and len(parts[0]) <= 3:
        return "".join(parts)
    return f"{''.join(parts[:-1])}.{parts[-1].rstrip('0')}".rstrip(".")


def read_expression(told: Told, where: str) -> Made:
    """`expression`: true or false, a level of points, or a label, in the language of `evals.judges.expression`."""
    source = read_text(told.get("expression"), f"{where}.expression", 2_000)
    try:
        expression = compile_expression(source)
    except BadExpression as bad:
        raise ConfigRefused(f"{where}.expression", str(bad)) from None

    def check(material: Material) -> Outcome:
        try:
            value = expression.run(values_of(material))
        except ExpressionFailed as failed:
            raise RuleFailed(f"the expression {failed}") from None
        if value is None:
            return Outcome(None, "The expression is None.")
        if not isinstance(value, bool | int | float | str):
            raise RuleFailed("the expression gives a list or an object, which is no score")
        shown = f"“{value[:60]}”" if isinstance(value, str) else f"{value}"
        return Outcome(value, f"The expression is {shown}.")

    return {"expression": source}, check


def values_of(material: Material) -> dict[str, Any]:
    """What the names of an expression stand for."""
    return {
        "question": material.question,
        "answer": material.answer,
        "system": material.system,
        "expected": material.expected,
        "messages": [{"role": each.role, "text": each.text} for each in material.messages],
        "documents": [
            {"id": each.id, "text": each.text, "score": each.score, "rank": each.rank} for each in material.documents
        ],
        "tools": [
            {"name": each.name, "arguments": each.arguments, "result": each.result, "error": each.error}
            for each in material.tools
        ],
        "metadata": dict(material.metadata),
        "feature": material.feature,
        "model": material.model,
        "finish_reason": material.finish_reason,
        "error_type": material.error_type,
        "duration_ms": material.duration_ms,
        "ttft_ms": material.ttft_ms,
        "cost_usd": None if material.cost_pico is None else material.cost_pico / PICO,
        "input_tokens": material.input_tokens,
        "output_tokens": material.output_tokens,
    }
