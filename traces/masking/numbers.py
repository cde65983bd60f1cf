"""Check digits of card and account numbers."""

from __future__ import annotations

from collections.abc import Sequence

# Length of an IBAN by country (SWIFT IBAN Registry, release 99).
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_luhn(digits: str) -> bool:
    """Whether the check digit is right (ISO/IEC 7812-1, annex B)."""
    total = 0
    for at, character in enumerate(reversed(digits)):
        value = ord(character) - 48
        total += _DOUBLED[value] if at % 2 else value
    return total % 10 == 0


def is_card(digits: str) -> bool:
    """Whether digits are a card's number: a network's first digits, one of its lengths, the right check digit."""
    n = len(digits)
    if not 13 <= n <= 19 or not _is_network(digits, n):
        return False
    return len(set(digits)) > 1 and is_luhn(digits)


def _is_network(digits: str, n: int) -> bool:
    two, four = int(digits[:2]), int(digits[:4])
    if digits[0] == "4":  # Visa
        return n in (13, 16, 19)
    if 51 <= two <= 55 or 2221 <= four <= 2720 or 2200 <= four <= 2204:  # Mastercard, Mir
        return n == 16
    if two in (34, 37):  # American Express
        return n == 15
    if two in (36, 38, 39) or 3000 <= four <= 3059:  # Diners Club
        return n in (14, 16)
    if 3528 <= four <= 3589:  # JCB
        return n == 16
    if two == 62:  # UnionPay
        return 16 <= n <= 19
    if two in (60, 63, 64, 65, 67) or two in (50, 56, 57, 58):  # Discover, RuPay, Maestro
        return n in (16, 19)
    return two in (81, 82) and n == 16  # UnionPay, RuPay


def is_laid_out(lengths: Sequence[int]) -> bool:
    """Whether groups of digits of these lengths are how a card's number is written."""
    if len(lengths) == 1:
        return True
    if tuple(lengths) in ((4, 6, 5), (4, 6, 4), (6, 13), (8, 8)):
        return True
    return all(length == 4 for length in lengths[:-1]) and 1 <= lengths[-1] <= 4


def iban_length(text: str) -> int | None:
    """How many characters an IBAN that begins so has; None where no country's does."""
    return IBAN_LENGTHS.get(text[:2])


def is_iban(text: str) -> bool:
    """Whether a text of capitals and digits is an IBAN (ISO 13616): its country's length, and 1 modulo 97."""
    if IBAN_LENGTHS.get(text[:2]) != len(text):
        return False
    moved = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1
