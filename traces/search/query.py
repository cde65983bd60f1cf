"""What a search box asks: words that must all be there, phrases, beginnings of words, words that must not be there.

refund müller           both words; the last one may be the beginning of a longer one
"money back"            these words in this order
refu* -test             words that begin so; without another
order-2024-001          an id, whole or its beginning
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from traces.search import words

CLAUSES_MAX = 20
TERMS_MAX = 100
# Shorter beginnings stand for too much: they are taken as whole words. One character of Chinese says as much as a word.
PREFIX_CHARS_MIN = 3
_PIECE = re.compile(r"(-?)(?:\"([^\"]*)\"|“([^”]*)”|„([^“”]*)[“”]|«([^»]*)»|(\S+))")


class QueryError(ValueError):
    """A query that asks for nothing, or for too much at once; the text is for people."""

    def __init__(self, message: str, limit: str) -> None:
        super().__init__(message)
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """A term, or with `is_prefix` all terms that begin so."""

    text: str
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing asked for: each slot by any of its terms.

    `phrase` is what the text itself must hold as well (in the form of `words.plain_text`); `parts` are tried, with
    `phrase_of_parts`, where nothing holds a compound whole.
    """

    slots: tuple[tuple[Term, ...], ...]
    is_negative: bool = False
    phrase: str = ""
    parts: tuple[tuple[Term, ...], ...] = ()
    phrase_of_parts: str = ""

    @property
    def terms(self) -> set[Term]:
        return {term for slot in self.slots for term in slot}

    def of_parts(self) -> Clause:
        """The clause that asks for the compound's words in their order instead of the whole."""
        return Clause(self.parts, self.is_negative, self.phrase_of_parts)


@dataclass(frozen=True, slots=True)
class Query:
    """Clauses that must all hold."""

    clauses: tuple[Clause, ...]

    @property
    def terms(self) -> set[Term]:
        return {term for clause in self.clauses for term in clause.terms}

    @property
    def phrases(self) -> tuple[Clause, ...]:
        """The clauses that only the text can confirm."""
        return tuple(clause for clause in self.clauses if clause.phrase)

    def with_parts(self) -> Query | None:
        """The query with compounds asked for by their parts; None where there is no compound."""
        if not any(clause.parts for clause in self.clauses):
            return None
        return Query(tuple(clause.of_parts() if clause.parts else clause for clause in self.clauses))


def parse(text: str) -> Query:
    """The query that `text` is; QueryError where it holds nothing to look for, or too many words."""
    clauses: list[Clause] = []
    pieces = list(_PIECE.finditer(text))
    for at, piece in enumerate(pieces):
        minus, bare = piece[1], piece[6]
        quoted = next((group for group in piece.groups()[1:5] if group is not None), None)
        is_last = at == len(pieces) - 1
        if quoted is not None:
            clauses += _phrase(quoted, bool(minus))
        else:
            clauses += _bare(bare.strip('"“”„«»'), bool(minus), is_last and not minus)
    clauses = list(dict.fromkeys(clauses))
    if not clauses:
        raise QueryError("holds nothing to look for", "letters, digits or pictures")
    if len(clauses) > CLAUSES_MAX:
        raise QueryError("asks for too many words at once", f"{CLAUSES_MAX} words and phrases")
    query = Query(tuple(clauses))
    if sum(len(slot) for clause in clauses for slot in (*clause.slots, *clause.parts)) > TERMS_MAX:
        raise QueryError("asks for too many words at once", f"{TERMS_MAX} words, spellings of each included")
    return query


def _bare(piece: str, is_negative: bool, is_open: bool) -> list[Clause]:
    """The clauses of a piece without quotation marks; `is_open`: it may go on, as somebody is still typing."""
    clauses: list[Clause] = [Clause(((Term(mark),),), is_negative) for mark in words.symbols(piece)]
    found = list(words.chunks(piece))
    for at, match in enumerate(found):
        chunk = match[0]
        goes_on = piece[match.end() : match.end() + 1] == "*" or (is_open and at == len(found) - 1)
        if not words.is_compound(chunk):
            slots = _slots(chunk, goes_on)
            if slots:
                clauses.append(Clause(slots, is_negative))
            continue
        parts = _slots_of_text(chunk)
        whole = ((Term(words.whole_term(chunk), goes_on),),)
        if len(chunk) > words.TERM_CHARS_MAX:
            clauses.append(Clause(parts, is_negative, words.plain_text(chunk)))
        else:
            clauses.append(Clause(whole, is_negative, "", parts, words.plain_text(chunk)))
    return clauses


def _phrase(text: str, is_negative: bool) -> list[Clause]:
    slots = _slots_of_text(text) + tuple((Term(mark),) for mark in words.symbols(text))
    if not slots:
        return []
    plain = words.plain_text(text)
    # One word that the index knows needs no look at the text.
    needs_text = len(slots) > 1 or words.is_compound(text.strip())
    return [Clause(slots, is_negative, plain if needs_text else "")]


def _slots_of_text(text: str) -> tuple[tuple[Term, ...], ...]:
    """A slot for each word, compounds in their parts."""
    slots: list[tuple[Term, ...]] = []
    for match in words.chunks(text):
        for word in re.split(r"[-_.:@/+#=&?%~\\$]+", match[0]):
            slots += _slots(word, False)
    return tuple(dict.fromkeys(slots))


def _slots(word: str, goes_on: bool) -> tuple[tuple[Term, ...], ...]:
    """A word's slots: its spellings, or its pairs where its script is cut so."""
    slots: list[tuple[Term, ...]] = []
    runs = list(words.runs(word))
    for at, (run, is_paired) in enumerate(runs):
        is_last = at == len(runs) - 1
        if is_paired:
            folded = words.fold(run)
            slots += [(Term(pair),) for pair in words.pairs(folded)[:-1]] or [(Term(folded, True),)]
        else:
            spelled = words.spellings(run)
            longest = goes_on and is_last
            slots.append(tuple(Term(s, longest and len(s) >= PREFIX_CHARS_MIN) for s in spelled))
    return tuple(slot for slot in slots if slot and all(term.text for term in slot))


def holds(query: Query, terms: Collection[str], plain: Callable[[], str]) -> bool:
    """Whether a text with these terms is one the query asks for; `plain` gives its `words.plain_text` if needed."""
    return all(_holds(clause, terms, plain) != clause.is_negative for clause in query.clauses)


def _holds(clause: Clause, terms: Collection[str], plain: Callable[[], str]) -> bool:
    found = all(any(_has(term, terms) for term in slot) for slot in clause.slots)
    if found and clause.phrase:
        return has_phrase(plain(), clause.phrase)
    if not found and clause.parts:
        return _holds(clause.of_parts(), terms, plain)
    return found


def _has(term: Term, terms: Collection[str]) -> bool:
    if not term.is_prefix:
        return term.text in terms
    return any(held.startswith(term.text) for held in terms)


def has_phrase(plain: str, phrase: str) -> bool:
    """Whether a text in plain form holds the phrase, from word to word where words have bounds."""
    at = plain.find(phrase)
    while at >= 0:
        end = at + len(phrase)
        begins = at == 0 or plain[at - 1] == " " or words.is_paired(phrase[0])
        if begins and (end == len(plain) or plain[end] == " " or words.is_paired(phrase[-1])):
            return True
        at = plain.find(phrase, at + 1)
    return False
