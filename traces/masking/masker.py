"""Texts and values without what the rules find in them.

In three steps, since most text holds nothing: one combined sieve over a whole body (`suspects`), a finer one over each
span of a body in which something was caught, and over each text of such a span. What is left meets the detectors.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from typing import Any

from traces.masking.detectors import (
    DETECTORS,
    ESCAPE_SIEVE,
    FINE_SIEVES,
    SIEVES,
    VARINT_SIEVE,
    compiled,
    find_cards,
    kind_of_name,
)
from traces.masking.kinds import KIND
from traces.masking.numbers import is_card
from traces.masking.policy import DEFAULT, Policy
from traces.masking.views import View

TOKEN_CHARS = 12
# Shorter texts hold no secret of any kind. Own patterns may find less.
MIN_BYTES = 6
DEPTH_MAX = 100
# Matches of the sieve in one body that are looked at closer; after these it is taken for caught.
CLOSER_MAX = 2_000
_MARK = re.compile(rb"\[masked: [a-z][a-z -]{0,39}(?: [0-9a-f]{12}\xe2\x80\xa6)?\]")
_RUN = re.compile(rb"[0-9](?:(?:[ .-]|\xc2\xa0)?[0-9])*")
RUN_BYTES = 80  # the longest card's number as it is written has 23
_NUMBER_BEFORE = re.compile(rb"[:,\[]\s{0,8}$")
_NUMBER_AFTER = re.compile(rb"\s{0,8}[,}\]]")
_ZERO_WIDTH = re.compile(r"[\^$]|\\[bBAzZ]")

Hit = tuple[int, int, str]


class Masker:
    """The rules of a project, ready to be used; the same for all of its text. `key` makes marks joinable."""

    def __init__(self, policy: Policy, key: bytes) -> None:
        self.policy = policy
        self._key = key
        self._kinds = [(name, find) for name, find in DETECTORS.items() if name in policy.kinds]
        self._own = [(own.name, compiled(own.pattern, is_latin=False, ignore_case=own.ignore_case))
                     for own in policy.patterns]  # fmt: skip
        self._coarse, self._sieve = (
            compiled("|".join([*(sieves[name] for name, _ in self._kinds), ESCAPE_SIEVE]), captures=False)
            for sieves in (SIEVES, FINE_SIEVES)
        )
        has_cards = "card" in policy.kinds
        self._varints = compiled(VARINT_SIEVE, captures=False) if has_cards else None
        self._has_cards = has_cards
        # Whether what begins with a digit can be a card's number alone.
        self._digits_are_cards = has_cards and not policy.kinds & {"email", "phone"}
        self._names = policy.kinds & {"header", "password"}
        # Own patterns that may match across what a body puts between texts can be held against texts alone.
        self._own_raw = None if any(_ZERO_WIDTH.search(own.pattern) for own in policy.patterns) else self._own

    @property
    def has_own(self) -> bool:
        """Whether there are patterns of the project's own."""
        return bool(self._own)

    def suspects(self, body: bytes, *, is_json: bool) -> bool:
        """Whether anything in a request's body may have to be masked. A body that is not suspected holds nothing."""
        if self._own and (
            is_json or self._own_raw is None or any(found.search(body) is not None for _, found in self._own_raw)
        ):
            return True
        return self._catches(body, is_json) or (not is_json and self._has_card_varint(body))

    def suspects_value(self, data: bytes) -> bool:
        """The same of a span as JSON."""
        return bool(self._own) or self._sieve.search(data) is not None

    def _catches(self, data: bytes, is_json: bool) -> bool:
        at = 0
        for _ in range(CLOSER_MAX):
            match = self._coarse.search(data, at)
            if match is None:
                return False
            start, end = match.span()
            if not self._digits_are_cards or not 50 <= data[start] <= 56 or _may_be_card(data, start, is_json):
                return True
            # Digits that are no card's: whatever else there is begins behind them.
            at = start + 1
            while at < end and 48 <= data[at] <= 57:
                at += 1
        return True

    def _has_card_varint(self, body: bytes) -> bool:
        if self._varints is None:
            return False
        at = 0
        for _ in range(CLOSER_MAX):
            match = self._varints.search(body, at)
            if match is None:
                return False
            number = 0
            for byte in reversed(match.group()[1:]):
                number = number << 7 | byte & 0x7F
            if is_card(str(number)):
                return True
            at = match.start() + 1
        return True

    def text(self, text: str, counts: Counter[str]) -> str:
        """`text` without what the rules find; `counts` by rule is added to."""
        if len(text) < MIN_BYTES and not self._own:
            return text
        data = text.encode("utf-8", "surrogatepass")
        is_caught = self._sieve.search(data) is not None
        if not is_caught and not self._own:
            return text
        hits = self._hits(data, is_caught)
        if not hits:
            return text
        return self._replace(data, hits, counts).decode("utf-8", "replace")

    def id(self, text: str, counts: Counter[str]) -> str:
        """An id without what the rules find. Its marks always carry a hash: what it joins stays joined, and apart."""
        masked = self.text(text, Counter())
        if masked is text:
            return text
        every = frozenset((*self.policy.kinds, *(own.name for own in self.policy.patterns)))
        return masker_of(replace(self.policy, tokens=every), self._key).text(text, counts)

    def value(self, value: Any, counts: Counter[str], depth: int = DEPTH_MAX) -> Any:
        """The same for a value of text, numbers, lists and maps, keys included; itself where nothing is found."""
        if type(value) is str:
            return self.text(value, counts)
        if type(value) is int:
            return self._number(value, counts)
        if isinstance(value, dict):
            return self._map(value, counts, depth)
        if isinstance(value, list):
            if depth <= 0:
                return "[masked: nested too deeply]"
            items = [self.value(item, counts, depth - 1) for item in value]
            return items if any(new is not old for new, old in zip(items, value, strict=True)) else value
        return value

    def field(self, name: str, value: Any, counts: Counter[str], depth: int = DEPTH_MAX) -> Any:
        """The same for the value of a field of this name: that of a header with a login is masked whatever it is."""
        if self._names:
            kind = kind_of_name(name)
            if kind is not None and kind in self._names and _has_text(value):
                return self._whole(kind, value, counts)
        return self.value(value, counts, depth)

    def _map(self, value: dict[Any, Any], counts: Counter[str], depth: int) -> Any:
        if depth <= 0:
            return "[masked: nested too deeply]"
        changed = False
        out: dict[Any, Any] = {}
        for key, item in value.items():
            name = self.text(key, counts) if type(key) is str else key
            new = self.field(str(key), item, counts, depth - 1)
            changed = changed or new is not item or name is not key
            while name is not key and name in out:  # two secrets as keys: both are kept apart
                name += "'"
            out[name] = new
        return out if changed else value

    def _whole(self, kind: str, value: Any, counts: Counter[str]) -> Any:
        if isinstance(value, list):
            return [self._whole(kind, item, counts) if _has_text(item) else item for item in value]
        text = value if isinstance(value, str) else repr(value)
        if _MARK.fullmatch(text.encode("utf-8", "replace")):
            return value
        counts[kind] += 1
        return self.mark(kind, text.encode("utf-8", "surrogatepass"))

    def _number(self, value: int, counts: Counter[str]) -> Any:
        if self._has_cards and 10**12 <= value < 10**19 and is_card(str(value)):
            counts["card"] += 1
            return self.mark("card", str(value).encode())
        return value

    def mark(self, rule: str, secret: bytes) -> str:
        """What stands for a secret: its kind, and where switched on a keyed hash, the same for the same secret."""
        kind = KIND.get(rule)
        label = kind.label if kind is not None else rule
        if rule not in self.policy.tokens:
            return f"[masked: {label}]"
        digest = hmac.new(self._key, rule.encode() + b"\0" + _plain(rule, secret), hashlib.sha256).hexdigest()
        return f"[masked: {label} {digest[:TOKEN_CHARS]}…]"

    def _hits(self, data: bytes, is_caught: bool) -> list[Hit]:
        """What is to be replaced, in order, without overlaps; the kinds look only where the sieve caught something."""
        view = View(data)
        found: list[Hit] = []
        if is_caught:
            for name, find in self._kinds:
                found += [(*view.places(start, end), name) for start, end in find(view.data)]
        for name, pattern in self._own:
            at = 0
            while (match := pattern.search(view.data, at)) is not None:
                start, end = match.span()
                if end > start:
                    found.append((*view.places(start, end), name))
                at = max(end, at + 1)
        if not found:
            return found
        marks = [match.span() for match in _MARK.finditer(data)]
        if marks:
            found = [hit for hit in found if not any(hit[0] < end and start < hit[1] for start, end in marks)]
        found.sort(key=lambda hit: (hit[0], -hit[1]))
        kept: list[Hit] = []
        for hit in found:
            if kept and hit[0] < kept[-1][1]:
                start, end, name = kept[-1]
                longer = name if end - start >= hit[1] - hit[0] else hit[2]
                kept[-1] = (start, max(end, hit[1]), longer)
            else:
                kept.append(hit)
        return kept

    def _replace(self, data: bytes, hits: list[Hit], counts: Counter[str]) -> bytes:
        parts: list[bytes] = []
        taken = 0
        for start, end, name in hits:
            secret = data[start:end]
            mark = self.mark(name, secret).encode()
            if secret.isdigit() and _NUMBER_BEFORE.search(data[max(start - 10, 0) : start]):
                mark = _quoted(data, start, end, mark)
            parts += (data[taken:start], mark)
            taken = end
            counts[name] += 1
        parts.append(data[taken:])
        return b"".join(parts)


def _may_be_card(data: bytes, start: int, is_json: bool) -> bool:
    """Whether the digits from `start` on may be a card's. Between a text of protobuf and its neighbours stands no
    boundary: the byte of its length or of the next field's tag may look like one digit more."""
    if is_json:
        return next(find_cards(data[max(start - 2, 0) : start + RUN_BYTES]), None) is not None
    found = _RUN.match(data, start, start + RUN_BYTES)
    run = found.group() if found is not None else b""
    return any(next(find_cards(one), None) is not None for one in (run, run[1:], run[:-1], run[1:-1]))


def _quoted(data: bytes, start: int, end: int, mark: bytes) -> bytes:
    """A number in JSON becomes a text in JSON: with quotes, behind as many backslashes as the quote before it has."""
    quote = data.rfind(b'"', max(start - 4096, 0), start)
    if quote < 0 or not _NUMBER_AFTER.match(data, end):
        return mark
    slashes = 0
    while slashes < quote and data[quote - slashes - 1 : quote - slashes] == b"\\":
        slashes += 1
    sign = b"\\" * slashes + b'"'
    return sign + mark + sign


def _has_text(value: Any) -> bool:
    """Whether a value says anything that could be a secret: text or numbers, not true, false or nothing."""
    if value is None or isinstance(value, bool) or value == "":
        return False
    if isinstance(value, list | dict):
        return bool(value)
    return True


def _plain(rule: str, secret: bytes) -> bytes:
    """A secret as it is hashed: the same however it was written."""
    if rule in ("card", "phone"):
        return bytes(byte for byte in secret if 48 <= byte <= 57)
    if rule == "iban":
        return bytes(byte for byte in secret if byte < 128 and chr(byte).isalnum())
    if rule == "email":
        return secret.replace(b"%40", b"@").lower()
    return secret


def mask_default(text: str) -> str:
    """`text` by the rules that stand from the start: for what is said of requests that belong to no project."""
    return masker_of(DEFAULT, b"").text(text, Counter())


@lru_cache(maxsize=256)
def masker_of(policy: Policy, key: bytes) -> Masker:
    """The masker of these rules, made once a process."""
    return Masker(policy, key)
