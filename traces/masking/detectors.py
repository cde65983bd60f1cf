"""What finds each kind of secret in a text of UTF-8 bytes. All patterns are RE2's: linear in the text.

A detector gives (start, end) of what is to be replaced. Patterns only propose; what has a check digit or a telling
shape is checked. Left boundaries are consumed by the pattern, so each proposal is looked for from the end of the
secret before it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from typing import Any

import re2

from traces.masking.numbers import iban_length, is_card, is_iban, is_laid_out

Span = tuple[int, int]
Find = Callable[[bytes], Iterator[Span]]
_MEMORY = 32 * 1024 * 1024  # of one pattern's automaton; beyond, matching slows down and stays linear
PEM_BYTES_MAX = 65_536

_KEYS = "|".join(
    (
        r"sk-[A-Za-z0-9_-]{16,}",  # OpenAI, Anthropic, DeepSeek, OpenRouter, Langfuse
        r"pk-lf-[A-Za-z0-9-]{16,}",
        r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}",  # Stripe
        r"whsec_[A-Za-z0-9+/=]{16,}",
        r"tt_[sp]k_[A-Za-z0-9_-]{8,}",  # our own
        r"A(?:KI|SI|BI|CC)A[A-Z0-9]{16}",  # AWS
        r"gh[pousr]_[A-Za-z0-9]{20,}",
        r"github_pat_[A-Za-z0-9_]{20,}",
        r"gl(?:pat|dt|rt|ptt|cbt|soat)-[A-Za-z0-9_-]{16,}",
        r"AIza[A-Za-z0-9_-]{30,}",
        r"ya29\.[A-Za-z0-9_-]{16,}",
        r"GOCSPX-[A-Za-z0-9_-]{16,}",
        r"xox[abeoprs]-[A-Za-z0-9.-]{10,}",
        r"xapp-[A-Za-z0-9-]{16,}",
        r"hooks\.slack\.com(?:\\*/)(?:services|workflows|triggers)(?:[A-Za-z0-9]|\\*/){16,}",
        r"hf_[A-Za-z0-9]{20,}",
        r"api_org_[A-Za-z0-9]{20,}",
        r"gsk_[A-Za-z0-9]{20,}",
        r"r8_[A-Za-z0-9]{20,}",
        r"pplx-[A-Za-z0-9]{20,}",
        r"xai-[A-Za-z0-9]{20,}",
        r"nvapi-[A-Za-z0-9_-]{20,}",
        r"npm_[A-Za-z0-9]{20,}",
        r"pypi-[A-Za-z0-9_-]{20,}",
        r"do[por]_v1_[a-f0-9]{32,}",
        r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
        r"lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}",
        r"shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{20,}",
        r"sq0[a-z]{3}-[A-Za-z0-9_-]{20,}",
        r"dckr_pat_[A-Za-z0-9_-]{20,}",
        r"dapi[a-f0-9]{32}",
        r"hv[sb]\.[A-Za-z0-9_-]{20,}",
        r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
        r"EAAC[A-Za-z0-9]{24,}",
    )
)
# Names whose value is a secret, as the last part of an attribute's or field's name, or before a value in a text.
_LOGIN_NAMES = (
    r"passw(?:or)?d|passphrase|passwd|pwd|secret|client[_-]?secret|app[_-]?secret|secret[_-]?key|"
    r"secret[_-]?access[_-]?key|access[_-]?key|api[_-]?key|account[_-]?key|signing[_-]?key|encryption[_-]?key|"
    r"private[_-]?key|(?:access|refresh|auth|id|session|api|bot|security)[_-]?token|credentials?"
)
_HEADER_NAMES = r"(?:proxy[_-])?authorization|(?:set[_-])?cookies?|x[_-](?:goog[_-])?api[_-]key|x[_-]auth[_-]token"
_GAP = r"(?:[ .-]|\xc2\xa0)"  # between groups of digits
_WORD = r"(?:[A-Za-z0-9._~+=-]|\\*/)"

# Everything that a detector of the kind may find lies in or around a match of its sieve. Sieves know no boundaries:
# they are held against whole bodies, where a length byte may stand before a text.
SIEVES: dict[str, str] = {
    "key": _KEYS.replace(",}", "}"),
    "bearer": r"(?i:bearer(?:[ \t]|%20|\+)+[A-Za-z0-9._~+=/\\-]{6}|basic(?:[ \t]|%20|\+)+[A-Za-z0-9+/=]{6})",
    "header": rf"(?i:{_HEADER_NAMES})" + r"""(?:["'\\]|\s){0,8}(?:[:=]|\x12|,|$)""",
    "password": rf"(?i:{_LOGIN_NAMES})" + r"""(?:["'\\]|\s){0,8}(?:[:=]|\x12|,|$)"""
    + r"""|:(?:\\*/){2}[^\s/?#"'<>:@]{0,256}:[^\s/?#"'<>]{1,256}@""",
    "private_key": r"-----BEGIN[A-Z0-9 ]{0,40} PRIVATE KEY",
    "jwt": r"eyJ[A-Za-z0-9_-]{8}[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8}",
    "card": rf"[2-68][0-9]{{12}}|[2-68][0-9]{{3}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]"
    rf"|3[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4}}|[2-68][0-9]{{7}}{_GAP}[0-9]{{8}}|[56][0-9]{{5}}{_GAP}[0-9]{{13}}",
    "iban": r"[A-Z]{2}[0-9]{2}(?:(?:[ -]|\xc2\xa0)?[A-Z0-9]){11}",
    "email": r"[^\s@]{1,64}(?:@|%40)[^\s@.]{1,64}\.",
    "phone": r"[+0(0-9][0-9](?:[ ./()-]{0,2}[0-9]){6}",
}  # fmt: skip
# The same for texts, and for spans as JSON: there a card's number begins behind no letter and no digit.
FINE_SIEVES = SIEVES | {"card": rf"(?:^|[^0-9A-Za-z])(?:{SIEVES['card']})"}
# A letter written as an escape hides a secret from the sieves.
ESCAPE_SIEVE = r"\\u00[2-7]|\\x[2-7]"
# A card sent as a number: field 3 of an AnyValue, a varint of 7 or 8 bytes (wire: opentelemetry/proto/common/v1).
VARINT_SIEVE = r"\x18[\x80-\xff]{6,7}[\x01-\x7f]"


def compiled(pattern: str, *, is_latin: bool = True, ignore_case: bool = False, captures: bool = True) -> Any:
    """The pattern of RE2 for bytes. re2.error where it is none."""
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    options.never_capture = not captures
    options.case_sensitive = not ignore_case
    if is_latin:
        options.encoding = re2.Options.Encoding.LATIN1
        return re2.compile(pattern.encode("latin-1"), options)
    return re2.compile(pattern.encode(), options)


def _each(pattern: Any, data: bytes, group: int = 1) -> Iterator[Any]:
    """Matches, each looked for from the end of the group before it: what follows may be the next one's boundary."""
    at = 0
    while (match := pattern.search(data, at)) is not None:
        yield match
        at = max(match.end(group), at + 1)


def _simple(pattern: str, *, is_latin: bool = True) -> Find:
    found = compiled(pattern, is_latin=is_latin)

    def find(data: bytes) -> Iterator[Span]:
        for match in _each(found, data):
            yield match.span(1)

    return find


find_keys = _simple(rf"(?:^|[^A-Za-z0-9])({_KEYS})")
find_jwts = _simple(r"(?:^|[^A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,3})")
_BEARER = compiled(rf"(?i)(?:^|[^A-Za-z0-9])bearer(?:[ \t]+|%20|\+)({_WORD}{{8,}})")
_BASIC = compiled(r"(?i)(?:^|[^A-Za-z0-9])basic(?:[ \t]+|%20|\+)((?:[A-Za-z0-9+=]|\\*/){6,})")


def find_bearers(data: bytes) -> Iterator[Span]:
    """What follows Bearer, where it is no word; what follows Basic, where it is a login in base64."""
    for match in _each(_BEARER, data):
        token = match.group(1)
        if len(token) >= 20 or any(48 <= byte <= 57 for byte in token):
            yield match.span(1)
    for match in _each(_BASIC, data):
        if _is_login(match.group(1).replace(b"\\", b"")):
            yield match.span(1)


def _is_login(token: bytes) -> bool:
    bare = token.rstrip(b"=")
    try:
        return b":" in base64.b64decode(bare + b"=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


_BEGIN = compiled(r"(-----BEGIN[A-Z0-9 ]{0,40} PRIVATE KEY(?: BLOCK)?-----)")
_END = compiled(r"(-----END[A-Z0-9 ]{0,40} PRIVATE KEY(?: BLOCK)?-----)")
_KEY_LINES = re.compile(rb"(?:[A-Za-z0-9+/=\s:,.()-]|\\)*")


def find_private_keys(data: bytes) -> Iterator[Span]:
    """Blocks from BEGIN to END; where END is missing (the text was cut), as far as key lines go."""
    at = 0
    while (match := _BEGIN.search(data, at)) is not None:
        start, begun = match.span(1)
        end = _END.search(data, begun)
        if end is not None and end.end(1) - start <= PEM_BYTES_MAX:
            at = end.end(1)
        else:
            lines = _KEY_LINES.match(data, begun, begun + PEM_BYTES_MAX)
            at = lines.end() if lines is not None else begun
        yield start, at


_DIGITS = compiled(rf"([2-68](?:{_GAP}?[0-9]){{12,}})")
_GROUP = re.compile(rb"[0-9]+")
_GROUPS_MAX = 6


def find_cards(data: bytes) -> Iterator[Span]:
    """Card numbers, whole or in groups; none within a longer number, a word, or behind a decimal point."""
    for match in _each(_DIGITS, data):
        start, end = match.span(1)
        groups = [(start + g.start(), start + g.end()) for g in _GROUP.finditer(match.group(1))]
        is_first_cut = data[max(start - 1, 0) : start].isalnum()
        is_last_cut = data[end : end + 1].isalnum()
        first = 1 if is_first_cut else 0
        while first < len(groups):
            is_behind_point = _is_fraction(data, groups[first][0])
            last = None if is_behind_point else _card_from(data, groups, first, len(groups) - is_last_cut)
            if last is None:
                first += 1
            else:
                yield groups[first][0], groups[last][1]
                first = last + 1


def _is_fraction(data: bytes, start: int) -> bool:
    return start > 1 and data[start - 1] == 46 and 48 <= data[start - 2] <= 57


def _card_from(data: bytes, groups: list[Span], first: int, end: int) -> int | None:
    """The last group of a card's number that begins with the group `first`; None where none does."""
    digits = ""
    for last in range(first, min(first + _GROUPS_MAX, end)):
        digits += data[groups[last][0] : groups[last][1]].decode()
        if len(digits) > 19:
            return None
        lengths = [stop - start for start, stop in groups[first : last + 1]]
        if len(digits) >= 13 and is_laid_out(lengths) and is_card(digits):
            return last
    return None


_IBAN = compiled(r"(?:^|[^A-Za-z0-9])([A-Z]{2}[0-9]{2}(?:(?:[ -]|\xc2\xa0)?[A-Z0-9]){11,30})")


def find_ibans(data: bytes) -> Iterator[Span]:
    """Account numbers, whole or in groups."""
    at = 0
    while (match := _IBAN.search(data, at)) is not None:
        start, told = match.start(1), match.group(1)
        at = start + 1
        wanted = iban_length(told[:2].decode())
        if wanted is None:
            continue
        kept, end = bytearray(), start
        for place, byte in enumerate(told, start + 1):
            if byte < 128 and chr(byte).isalnum():
                kept.append(byte)
                if len(kept) == wanted:
                    end = place
                    break
        if len(kept) == wanted and not data[end : end + 1].isalnum() and is_iban(kept.decode()):
            yield start, end
            at = end


_NAMED = compiled(rf"(?i)(?:{_LOGIN_NAMES}|({_HEADER_NAMES}))" + r"""(?:\\*["'])?\s{0,4}(?:=>|:=|[:=])\s{0,4}""")
_QUOTE = re.compile(rb"(\\*)([\"'])")
_BARE = re.compile(rb"[^\s\"',;&<>{}()\[\]\\]{6,512}")
_LINE = re.compile(rb"[^\r\n\"'\\<>{}]{6,4096}")
_MARK = b"[masked: "


def _named(data: bytes, wants_header: bool) -> Iterator[Span]:
    at = 0
    while (match := _NAMED.search(data, at)) is not None:
        at = max(match.end(), at + 1)
        if (match.start(1) >= 0) is not wants_header:
            continue
        found = _value_at(data, match.end(), wants_header)
        if found is not None:
            yield found
            at = max(at, found[1])


def _value_at(data: bytes, at: int, is_header: bool) -> Span | None:
    """The value that stands at a place: within its quotes, or bare where it looks like no word."""
    quote = _QUOTE.match(data, at)
    if quote is not None:
        start = quote.end()
        depth, mark = len(quote.group(1)), quote.group(2)
        end = _closing(data, start, depth, mark)
        if end <= start or data.startswith(_MARK, start):
            return None
        return start, end
    bare = (_LINE if is_header else _BARE).match(data, at)
    if bare is None or data.startswith(_MARK, at):
        return None
    return bare.span() if any(_is_no_word(part) for part in bare.group().split()) else None


def _is_no_word(text: bytes) -> bool:
    """Whether a text is no word of a sentence: it has digits or an equals sign, or is long."""
    return len(text) >= 20 or any(48 <= byte <= 57 or byte == 61 for byte in text)


def _closing(data: bytes, start: int, depth: int, mark: bytes) -> int:
    """Where the quoted text that began ends: at a quote behind no more backslashes; else at the end of the data."""
    at = start
    while (at := data.find(mark, at)) >= 0:
        slashes = 0
        while at - slashes > start and data[at - slashes - 1 : at - slashes] == b"\\":
            slashes += 1
        if slashes <= depth:
            return at - slashes
        at += 1
    return len(data)


_LOGIN_URL = compiled(r"""[A-Za-z][A-Za-z0-9+.-]{0,20}:(?:\\*/){2}([^\s/?#"'<>\\]{1,512})@""")


def find_passwords(data: bytes) -> Iterator[Span]:
    """The login of a URL; the value behind a name that says so."""
    for match in _each(_LOGIN_URL, data):
        if b":" in match.group(1) and not match.group(1).startswith(_MARK[:8]):
            yield match.span(1)
    yield from _named(data, wants_header=False)


def find_headers(data: bytes) -> Iterator[Span]:
    """The value behind the name of a header that carries a login."""
    yield from _named(data, wants_header=True)


_LETTER = r"[\p{L}\p{N}]"
find_emails = _simple(
    r"(?:^|[^\p{L}\p{N}._%+-])([\p{L}\p{N}_%+-](?:[\p{L}\p{N}._%+-]{0,62}[\p{L}\p{N}_%+-])?(?:@|%40)"
    rf"(?:{_LETTER}(?:[\p{{L}}\p{{N}}-]{{0,61}}{_LETTER})?\.)+\p{{L}}[\p{{L}}\p{{N}}-]{{1,30}})",
    is_latin=False,
)
_PHONE = compiled(
    r"(?:^|[^A-Za-z0-9_.+/-])"
    r"((?:\+|00)[1-9](?:[ ./()-]{0,3}[0-9]){6,14}"
    r"|(?:1[ .-])?\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}"
    r"|\(?0[1-9][0-9]{0,4}\)?[ /-](?:[ -]?[0-9]){5,10})"
)


def find_phones(data: bytes) -> Iterator[Span]:
    """Telephone numbers: with a country's code, or grouped as people write them."""
    for match in _each(_PHONE, data):
        start, end = match.span(1)
        digits = sum(48 <= byte <= 57 for byte in match.group(1))
        if 8 <= digits <= 15 and not data[end : end + 1].isalnum():
            yield start, end


DETECTORS: dict[str, Find] = {
    "private_key": find_private_keys,
    "header": find_headers,
    "key": find_keys,
    "jwt": find_jwts,
    "bearer": find_bearers,
    "password": find_passwords,
    "card": find_cards,
    "iban": find_ibans,
    "email": find_emails,
    "phone": find_phones,
}

_LOGIN_KEY = re.compile(rf"(?:^|[^a-z0-9])(?:{_LOGIN_NAMES})$", re.IGNORECASE)
_HEADER_KEY = re.compile(rf"(?:^|[^a-z0-9])(?:{_HEADER_NAMES})$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def kind_of_name(name: str) -> str | None:
    """The kind of secret that a field of this name holds whatever it is: header, password, or None."""
    told = name if name.islower() else _CAMEL.sub("_", name)
    if _HEADER_KEY.search(told):
        return "header"
    return "password" if _LOGIN_KEY.search(told) else None
