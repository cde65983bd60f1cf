"""The kinds of secrets that are known from the start, and what a project may do with its text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """What becomes of text on its way in."""

    OFF = "off"  # stored as it was sent
    MASK = "mask"  # what the rules find is replaced
    NO_CONTENT = "no content"  # no text is stored: names, times, token counts, cost and signals stay


# From least to most careful.
STRICTNESS = {Mode.OFF: 0, Mode.MASK: 1, Mode.NO_CONTENT: 2}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of secret: its name in rules, the word in its mark, what it finds, whether it is on from the start."""

    name: str
    label: str
    finds: str
    is_on: bool = True


KINDS: tuple[Kind, ...] = (
    Kind("key", "key", "Keys of OpenAI, Anthropic, AWS, Google, GitHub, GitLab, Slack, Stripe, Hugging Face, "
         "Telltale itself and others"),
    Kind("bearer", "bearer token", "What follows Bearer or Basic"),
    Kind("header", "header", "Values of headers that carry a login: Authorization, Cookie, X-Api-Key and their like"),
    Kind("password", "password", "Logins in URLs, and values named password, secret, api_key, access_token or alike"),
    Kind("private_key", "private key", "Private key blocks (PEM, OpenSSH, PGP)"),
    Kind("jwt", "jwt", "JSON Web Tokens"),
    Kind("card", "card", "Card numbers: 13 to 19 digits of a card network, with a right check digit"),
    Kind("iban", "iban", "Account numbers (IBAN) of the right length for their country, with right check digits"),
    Kind("email", "email", "E-mail addresses", False),
    Kind("phone", "phone", "Telephone numbers written with +, 00, brackets or separators", False),
)  # fmt: skip
KIND = {kind.name: kind for kind in KINDS}
