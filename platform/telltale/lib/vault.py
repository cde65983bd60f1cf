"""Secrets that must be used again (keys of other systems), kept encrypted under a key derived from the installation's.

A database dump alone opens nothing. Whoever changes `TELLTALE_SECRET_KEY` makes what was sealed before unreadable: it
then has to be entered again, and says so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.fernet import Fernet, InvalidToken
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


def hint(secret: str) -> str:
    """How a secret is shown: its last four characters where it is long enough that they give nothing away."""
    return f"…{secret[-4:]}" if len(secret) >= 12 else "…"


def _fernet(purpose: str) -> Fernet:
    key = hmac.new(settings.SECRET_KEY.encode(), b"telltale.vault:" + purpose.encode(), hashlib.sha256).digest()
    return Fernet(base64.urlsafe_b64encode(key))
