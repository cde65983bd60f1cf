"""What people ask the shop's assistant, and what it answers: read from the files in `texts/`.

A topic begins with `= feature | kind of product | docs ids`. `?` is a question (one of them is asked), `!` the answer,
`!!` the worse answer of prompt v18, `>` a further question, `>!` one that objects to the worse answer, `<` the answer.
`+` is what happens next, once a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "texts"
LANGUAGES = ("en", "de", "fr", "es", "zh", "ar", "ja")
GIFT_PASSAGES = frozenset({"holiday", "gift", "noreceipt"})
FEATURES = ("product-search", "order-status", "returns", "sizing-advice", "checkout-help")


@dataclass(frozen=True, slots=True)
class Product:
    """One article of the shop; `price` as it is written."""

    id: str
    name: str
    kind: str
    price: str
    about: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph of the shop's rules."""

    id: str
    place: str
    text: str

    @property
    def folder(self) -> str:
        """The part of the rules that it belongs to."""
        return self.place.split("/")[0]


@dataclass(slots=True)
class Topic:
    """One thing people ask about, in one language."""

    feature: str
    kind: str
    passages: tuple[Passage, ...]
    asks: list[str] = field(default_factory=list)
    answer: str = ""
    worse: str = ""
    further: list[str] = field(default_factory=list)
    further_answer: str = ""
    objections: list[str] = field(default_factory=list)
    objection_answer: str = ""

    @property
    def is_gift(self) -> bool:
        """Whether it is about giving back presents."""
        return any(passage.id in GIFT_PASSAGES for passage in self.passages)


def _lines(name: str) -> list[str]:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _row(line: str) -> list[str]:
    return [part.strip() for part in line.split("|")]


@cache
def products() -> tuple[Product, ...]:
    """The catalogue."""
    return tuple(Product(*_row(line)) for line in _lines("catalogue"))


@cache
def products_of(kind: str) -> tuple[Product, ...]:
    """The products of a kind, all for `any`."""
    return tuple(product for product in products() if kind in ("any", product.kind))


@cache
def passages() -> dict[str, Passage]:
    """The shop's rules by id."""
    rows = [_row(line) for line in _lines("documents")]
    return {row[0]: Passage(*row) for row in rows}


@cache
def topics(language: str, feature: str) -> tuple[Topic, ...]:
    """The topics of a feature in a language."""
    return tuple(topic for topic in _read(language) if topic.feature == feature)


@cache
def next_steps(language: str) -> str:
    """What is added to answers about returns where the prompt wants them to say what happens next."""
    return next(line[2:] for line in _lines(language) if line.startswith("+ "))


@cache
def manners(language: str, kind: str) -> tuple[str, ...]:
    """How people of a language take their leave, want a person, or ask again, and what they are told then."""
    rows = map(_row, _lines("manners"))
    return tuple(text for spoken, of, text in rows if (spoken, of) == (language, kind))


@cache
def _read(language: str) -> tuple[Topic, ...]:
    found: list[Topic] = []
    objects = False
    for line in _lines(language):
        mark, _, text = line.partition(" ")
        if mark == "+":
            continue
        if mark == "=":
            feature, kind, *rest = _row(text)
            ids = rest[0].removeprefix("docs").split(",") if rest else []
            found.append(Topic(feature, kind.removeprefix("kind "), tuple(passages()[id.strip()] for id in ids)))
        elif mark == "?":
            found[-1].asks.append(text)
        elif mark == "!":
            found[-1].answer = text
        elif mark == "!!":
            found[-1].worse = text
        elif mark in (">", ">!"):
            objects = mark == ">!"
            (found[-1].objections if objects else found[-1].further).append(text)
        elif mark == "<" and objects:
            found[-1].objection_answer = text
        elif mark == "<":
            found[-1].further_answer = text
        else:
            raise ValueError(f"{language}.txt has a line that begins with {mark!r}")
    return tuple(found)
