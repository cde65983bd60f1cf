"""Words for what is stored as numbers: values of scores, shares, states of estimates."""

from __future__ import annotations

from evals.read.scores import BOOLEAN, LABEL, NUMERIC


def number_words(number: float) -> str:
    """ "4", "3.75", "1,250", "0.00031": as many digits as say something."""
    if number == int(number) and abs(number) < 1e15:
        return f"{number:,.0f}"
    if abs(number) >= 0.01:
        return f"{number:,.3f}".rstrip("0").rstrip(".")
    return f"{number:.2g}"


def value_words(data_type: int, number: float | None, label: str | None, high: int | None = None) -> str:
    """What was said: "4 of 5", "yes", a label; "text" where it is words of its own."""
    if data_type == BOOLEAN:
        return "unknown" if number is None else "yes" if number else "no"
    if data_type == LABEL:
        return label or "unknown"
    if data_type == NUMERIC and number is not None:
        words = f"{number_words(number)} of {high}" if high is not None else number_words(number)
        return f"{words}, {label}" if label else words
    return "text" if data_type != NUMERIC else "unknown"
