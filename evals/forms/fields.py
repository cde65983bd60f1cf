"""One input of a form as a template writes it, and reading what was typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from django.http import QueryDict

from evals.setup.refusals import SetupRefused

TEXT_MAX = 20_000
PICO_A_USD = Decimal(10) ** 12
Choice = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Field:
    """An input: `kind` is text, number, area, code, secret, select, check or many (boxes by `choices`)."""

    name: str
    label: str
    value: str = ""
    hint: str = ""
    error: str = ""
    kind: str = "text"
    choices: tuple[Choice, ...] = ()
    suffix: str = ""
    is_required: bool = False
    rows: int = 4
    chars_max: int = 0
    placeholder: str = ""

    @property
    def is_checked(self) -> bool:
        """Whether a box is ticked."""
        return self.value == "on"

    @property
    def described_by(self) -> str:
        """The ids of what explains the input."""
        parts = [f"f-{self.name}-error"] * bool(self.error) + [f"f-{self.name}-hint"] * bool(self.hint)
        return " ".join(parts)


def choices_of(pairs: Iterable[tuple[str, str]], chosen: str) -> tuple[Choice, ...]:
    """Options of a select."""
    return tuple((value, word, value == chosen) for value, word in pairs)


def typed_of(post: QueryDict, names: Iterable[str]) -> dict[str, str]:
    """What was typed into the inputs of these names, cut at `TEXT_MAX` characters and without U+0000."""
    return {name: clean(post.get(name, "")) for name in names}


def clean(text: str) -> str:
    """What a person typed, as it may come back to a page."""
    return text.replace("\x00", "\ufffd").replace("\r\n", "\n")[:TEXT_MAX]


def whole_of(field: str, text: str) -> int | None:
    """A whole number, None where nothing was typed; SetupRefused."""
    raw = text.strip().replace(",", "").replace(" ", "")
    if not raw:
        return None
    digits = raw.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
        raise SetupRefused(field, "is no whole number", value=raw[:40])
    return int(raw)


def number_of(field: str, text: str) -> float | None:
    """A number, None where nothing was typed; SetupRefused."""
    found = decimal_of(field, text)
    return None if found is None else float(found)


def decimal_of(field: str, text: str) -> Decimal | None:
    """A decimal number, None where nothing was typed; SetupRefused."""
    raw = text.strip().replace(",", "").removeprefix("$").removesuffix("%").strip()
    if not raw:
        return None
    try:
        found = Decimal(raw)
    except InvalidOperation:
        raise SetupRefused(field, "is no number", value=raw[:40]) from None
    if not found.is_finite() or abs(found.adjusted()) > 18 or not raw.isascii() or "_" in raw:
        raise SetupRefused(field, "is no number", value=raw[:40])
    return found


def pico_of(field: str, text: str, *, tokens: int = 1) -> int | None:
    """Pico-dollars (a token, where `tokens` is what the typed dollars are for); None where nothing was typed."""
    found = decimal_of(field, text)
    if found is None:
        return None
    pico = found * PICO_A_USD / tokens
    if pico != pico.to_integral_value():
        raise SetupRefused(field, "has too many decimals", f"{12 - len(str(tokens)) + 1} decimals")
    return int(pico)


def usd_text(pico: int | None, *, tokens: int = 1) -> str:
    """Pico-dollars as an input shows them, "" where unknown."""
    if pico is None:
        return ""
    text = f"{Decimal(pico) * tokens / PICO_A_USD:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def error_at(refused: SetupRefused | None, field: str) -> str:
    """What is wrong with a field, as its input says it; "" where nothing is."""
    if refused is None or refused.field != field:
        return ""
    return refused.message.rstrip(".") + (f" ({refused.limit})" if refused.limit else "") + "."


def options(pairs: Mapping[str, str], chosen: str) -> tuple[Choice, ...]:
    """Options of a select from a mapping."""
    return choices_of(pairs.items(), chosen)
