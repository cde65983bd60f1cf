"""Passwords that anybody would try first, and one that was in use already, are refused; docs/sign-in.md has the rule.

Nothing is asked of a service elsewhere: the product makes no call that nobody configured. The list of leaked passwords
is Django's own, 19,640 of the most frequent.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core.exceptions import ValidationError

from telltale.accounts.models import Organisation, User

PRODUCT_WORDS = ("telltale", "observability", "monitoring", "tracing")
WORD_CHARS_MIN = 4
# A password of such words alone, with a year or a sign behind, is what somebody who knows the place tries.
LEFT_CHARS_MIN = 6
KINDS_MIN = 5
_WRITTEN_AS = str.maketrans("01345789@$!", "oleastbgasi")
_NO_LETTERS = re.compile(r"[^a-z]+")


class LeakedPasswordValidator(CommonPasswordValidator):
    """Refuses leaked passwords, also with digits and signs around them, letters written as digits, or said twice."""

    def validate(self, password: str, user: Any = None) -> None:
        """ValidationError where `password` is one of them, or made of fewer than five different characters."""
        super().validate(password, user)
        lowered = password.lower().strip()
        told = {lowered, lowered.strip("0123456789!?.,;:-_+*#$@& "), lowered.translate(_WRITTEN_AS)}
        told |= {text.translate(_WRITTEN_AS) for text in told}
        told |= {_NO_LETTERS.sub("", text) for text in told}
        told |= {text[: len(text) // 2] for text in told if text and text == text[: len(text) // 2] * 2}
        # What is left of a sentence with much else around it is no longer that password.
        near = {text for text in told if len(text) >= max(WORD_CHARS_MIN, len(lowered) // 3)}
        if near & self.passwords or len(set(lowered)) < KINDS_MIN:
            raise ValidationError(
                "This password, or one much like it, is among those that leaked elsewhere.", code="password_too_common"
            )

    def get_help_text(self) -> str:
        """The rule in a sentence."""
        return "It is no password that leaked elsewhere, nor one with digits around it."


class OwnWordsValidator:
    """Refuses passwords made of the product's, the host's and the organisations' names and little else."""

    def validate(self, password: str, user: Any = None) -> None:
        """ValidationError where fewer than six letters are left without those names."""
        left = _NO_LETTERS.sub("", password.lower().translate(_WRITTEN_AS))
        for word in sorted(own_words(), key=len, reverse=True):
            left = left.replace(word, "")
        had = _NO_LETTERS.sub("", password.lower().translate(_WRITTEN_AS))
        if left != had and len(left) < LEFT_CHARS_MIN:
            raise ValidationError(
                "This password is made of names that anybody here would try.", code="password_of_own_words"
            )

    def get_help_text(self) -> str:
        """The rule in a sentence."""
        return "It is not made of the names of this place alone."


class OtherPasswordValidator:
    """Refuses the password that the person has already: one that was given out must not stay."""

    def validate(self, password: str, user: Any = None) -> None:
        """ValidationError where `password` is the one in use."""
        if isinstance(user, User) and user.pk and user.has_usable_password() and user.check_password(password):
            raise ValidationError("This is the password you have already.", code="password_unchanged")

    def get_help_text(self) -> str:
        """The rule in a sentence."""
        return "It is another one than before."


def own_words() -> set[str]:
    """Names of this place in lower-case letters: the product's, its host's parts, the organisations'."""
    host = urlsplit(settings.TELLTALE_PUBLIC_URL).hostname or ""
    names = [*PRODUCT_WORDS, *host.split("."), *Organisation.objects.values_list("name", flat=True)[:1000]]
    words = {_NO_LETTERS.sub("", part) for name in names for part in (name.lower(), *name.lower().split())}
    return {word for word in words if len(word) >= WORD_CHARS_MIN}
