"""Large OTLP/JSON documents, taken apart without being parsed as a whole.

Parsed whole, 60 MB of JSON take 600 MiB and more. Here brackets are matched over the bytes to find the outline and
where each item lies; items are parsed one by one as they are asked for.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from traces.canonical.types import WireError
from traces.wire.otlp_json import (
    BOM,
    MAX_CONTAINERS,
    json_groups,
    mapping,
    read_document,
    read_object,
    refuse_snake_case,
)

# Smaller ones are parsed whole, which is twice as fast.
WHOLE_BYTES = 4 * 1024 * 1024
# One item of 64 MiB could hold brackets alone, 232 bytes of memory each.
ITEM_CONTAINERS = 300_000
DEPTH_MAX = 1000
_OPEN, _CLOSE = frozenset(b"{["), frozenset(b"}]")
# Possessive throughout: no input makes them go back.
_BRACKET = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+[{}\[\]]', re.DOTALL)
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SCALAR = re.compile(rb'[^\s,:"{}\[\]]++')
_SPACE = re.compile(rb"[ \t\r\n]*+")


class Pieces:
    """Where the items of a list lie in a body; each is parsed when it is asked for."""

    def __init__(self, body: bytes, max_containers: int = ITEM_CONTAINERS) -> None:
        self._body = body
        self._max_containers = max_containers
        self._places = array("q")

    def add(self, start: int, end: int) -> None:
        """Note one item."""
        self._places.extend((start, end))

    def __len__(self) -> int:
        return len(self._places) // 2

    def __iter__(self) -> Iterator[Any]:
        for at in range(0, len(self._places), 2):
            yield read_document(self._body[self._places[at] : self._places[at + 1]], self._max_containers)


@dataclass(slots=True)
class _Part:
    """A resource or a scope with what belongs to it."""

    about: tuple[int, int] | None = None
    below: list[_Part] = field(default_factory=list)
    items: Pieces | None = None


def json_requests(
    body: bytes, groups: str, scopes: str, items: str
) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[Any] | Pieces]]:
    """Resource, scope and items, group by group; WireError 400 for what is no JSON object or is in snake_case."""
    if len(body) <= WHOLE_BYTES:
        yield from json_groups(read_object(body), groups, scopes, items)
        return
    for resource_part in _Outline(body, groups, scopes, items).read():
        resource = _parsed(body, resource_part.about)
        for part in resource_part.below:
            yield resource, _parsed(body, part.about), Pieces(body) if part.items is None else part.items


def read_listed(body: bytes, *lists: str) -> Any:
    """The JSON value of a body; of a large one, a list and the named lists of an object come as `Pieces`."""
    if len(body) <= WHOLE_BYTES:
        return read_document(body)
    outline = _Outline(body, "", "", "")
    return outline.read_listed({name.encode() for name in lists})


def consume(items: list[Any] | Pieces) -> Iterator[Any]:
    """The items, each let go of as the next is asked for: a large document shrinks while it is read."""
    if isinstance(items, Pieces):
        yield from items
        return
    for at, item in enumerate(items):
        items[at] = None
        yield item


def _parsed(body: bytes, place: tuple[int, int] | None) -> dict[str, Any]:
    return {} if place is None else mapping(read_document(body[place[0] : place[1]], ITEM_CONTAINERS))


class _Outline:
    """Reads the outline of one document."""

    def __init__(self, body: bytes, groups: str, scopes: str, items: str) -> None:
        self.body = body
        self.groups, self.scopes, self.items = groups.encode(), scopes.encode(), items.encode()
        self.at = len(BOM) if body.startswith(BOM) else 0

    def read_listed(self, lists: set[bytes]) -> Any:
        """The document with its lists as pieces."""
        self._space()
        if self._here() == b"[":
            listed = self._pieces(MAX_CONTAINERS)
            self._end()
            return listed
        if self._here() != b"{":
            return read_document(self.body)
        document: dict[str, Any] = {}
        for key in self._members():
            start = self.at
            value: Any = self._pieces(MAX_CONTAINERS) if key in lists and self._here() == b"[" else None
            if value is None:
                self._skip()
                value = read_document(self.body[start : self.at])
            document[key.decode("utf-8", "replace")] = value
        self._end()
        return document

    def _end(self) -> None:
        self._space()
        if self.at != len(self.body):
            raise self._error("something follows the document")

    def read(self) -> list[_Part]:
        """The resources with what is below them. Of a key that comes twice the last counts, as for every parser."""
        keys: set[str] = set()
        found: list[_Part] = []
        self._space()
        if self.at == len(self.body):
            return found
        if self._here() != b"{":
            self._skip()
            raise WireError("JSON body must be an object")
        for key in self._members():
            keys.add(key.decode("utf-8", "replace"))
            if key == self.groups:
                found = self._resources()
            else:
                self._skip()
        self._end()
        refuse_snake_case(keys)
        return found

    def _resources(self) -> list[_Part]:
        return self._list(lambda: self._part(b"resource", self.scopes))

    def _part(self, about: bytes, below: bytes) -> _Part:
        part = _Part()
        for key in self._members():
            start = self.at
            if key == below and below == self.items:
                part.items = self._pieces()
            elif key == below:
                part.below = self._list(lambda: self._part(b"scope", self.items))
            else:
                self._skip()
                if key == about:
                    part.about = (start, self.at)
        return part

    def _pieces(self, max_containers: int = ITEM_CONTAINERS) -> Pieces:
        pieces = Pieces(self.body, max_containers)
        for _ in self._elements():
            start = self.at
            self._skip()
            pieces.add(start, self.at)
        return pieces

    def _list(self, read: Callable[[], _Part]) -> list[_Part]:
        found = []
        for _ in self._elements():
            if self._here() == b"{":
                found.append(read())
            else:
                self._skip()
        return found

    def _members(self) -> Iterator[bytes]:
        """The keys of the object here; whoever asks takes the value behind each."""
        self._take(b"{")
        if self._here() == b"}":
            self._take(b"}")
            return
        while True:
            match = _STRING.match(self.body, self.at)
            if match is None:
                raise self._error("a key is missing")
            self.at = match.end()
            self._space()
            self._take(b":")
            yield match[0][1:-1]
            self._space()
            if self._here() == b"}":
                self._take(b"}")
                return
            self._take(b",")

    def _elements(self) -> Iterator[None]:
        """Once for each element of the list here, which whoever asks takes; never for anything but a list."""
        if self._here() != b"[":
            self._skip()
            return
        self._take(b"[")
        if self._here() == b"]":
            self._take(b"]")
            return
        while True:
            yield
            self._space()
            if self._here() == b"]":
                self._take(b"]")
                return
            self._take(b",")

    def _skip(self) -> None:
        """Go behind the value here. Whether it is well-formed inside is found out by who parses it, if anybody does."""
        here = self._here()
        if here == b'"' or here not in b"{[":
            match = (_STRING if here == b'"' else _SCALAR).match(self.body, self.at)
            if match is None:
                raise self._error("a value is missing")
            self.at = match.end()
            return
        body, depth = self.body, 0
        for match in _BRACKET.finditer(body, self.at):
            if match.start() != self.at:
                break  # a text without its end
            self.at = match.end()
            if body[match.end() - 1] in _OPEN:
                depth += 1
                if depth > DEPTH_MAX:
                    raise WireError("JSON body is nested too deeply; at most 64 levels of values are kept")
                continue
            depth -= 1
            if not depth:
                return
        raise self._error("it ends before its brackets are closed")

    def _here(self) -> bytes:
        return self.body[self.at : self.at + 1]

    def _take(self, wanted: bytes) -> None:
        if self._here() != wanted:
            raise self._error(f"{wanted.decode()} is missing")
        self.at += 1
        self._space()

    def _space(self) -> None:
        match = _SPACE.match(self.body, self.at)
        self.at = match.end() if match else self.at

    def _error(self, message: str) -> WireError:
        return WireError(f"JSON body cannot be decoded: {message} at byte {self.at}")
