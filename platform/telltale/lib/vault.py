"""Secrets that must be used again (keys of other systems), kept encrypted under a key derived from the installation's.

A database dump alone opens nothing. What was sealed under a key that is among `TELLTALE_OLD_SECRET_KEYS` still opens,
and `telltale rotate-secrets` seals it anew; what was sealed under a key that is nowhere any more is entered again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Sealed(Exception):
    """A secret cannot be opened: it was sealed under another secret key, or for another purpose."""


def seal(purpose: str, text: str) -> str:
    """`text` encrypted; only `unseal` with the same purpose and secret key opens it."""
    return _fernet(purpose).encrypt(text.encode()).decode()


def unseal(purpose: str, sealed: str) -> str:
    """What `seal` was given; Sealed where it cannot be opened."""
    try:
        return _fernet(purpose).decrypt(sealed.encode()).decode()
    except (InvalidToken, UnicodeDecodeError):
        raise Sealed(purpose) from None


def reseal(purpose: str, sealed: str) -> str | None:
    """`sealed` under the secret key of today, None where it is already; Sealed where no key opens it."""
    return renew(lambda key: _key(purpose, key), sealed)


def renew(derive: Callable[[str], Fernet], sealed: str) -> str | None:
    """As `reseal`, for who derives keys in another way (second factors)."""
    today, *old = (derive(key) for key in secret_keys())
    try:
        today.decrypt(sealed.encode())
    except InvalidToken:
        pass
    else:
        return None
    if not old:
        raise Sealed
    try:
        return today.encrypt(MultiFernet(old).decrypt(sealed.encode())).decode()
    except InvalidToken:
        raise Sealed from None


def secret_keys() -> tuple[str, ...]:
    """The installation's secret key, then those it had before."""
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


def hint(secret: str) -> str:
    """How a secret is shown: its last four characters where it is long enough that they give nothing away."""
    return f"…{secret[-4:]}" if len(secret) >= 12 else "…"


def _fernet(purpose: str) -> MultiFernet:
    return MultiFernet([_key(purpose, key) for key in secret_keys()])


def _key(purpose: str, secret_key: str) -> Fernet:
    key = hmac.new(secret_key.encode(), b"telltale.vault:" + purpose.encode(), hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(key))
