"""API keys: made, found by the hash of their secret part, revoked within seconds everywhere."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from django.conf import settings
from django.http import HttpRequest

from telltale.lib import clock
from telltale.projects.models import ApiKey, Project
from telltale.projects.origins import read_origins

SCOPES = ("ingest", "signal", "read", "write", "admin")
# What a key that lies open in a browser may have, and nothing else.
BROWSER_SCOPES = frozenset({"signal"})
RATE_MAX = 10_000_000
SECRET_PREFIX = "tt_sk_"  # noqa: S105
PUBLIC_PREFIX = "tt_pk_"
LAST_USED_EVERY_SECONDS = 60.0
_CACHE_MAX = 4096
_PUBLIC_CHARS_MAX = 64


@dataclass(frozen=True, slots=True)
class KeyHolder:
    """Who a request's key says it is: one project, some scopes."""

    key_id: int
    project_id: int
    project_slug: str
    scopes: frozenset[str]
    spans_a_second: int | None = None  # None: as the installation says
    origins: tuple[str, ...] = ()  # pages that may use it from a browser


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; `secret` is shown once and kept nowhere."""

    key: ApiKey
    secret: str


def hash_secret(secret: str) -> bytes:
    """The 32 bytes under which a secret part is kept and found."""
    return hashlib.sha256(secret.encode()).digest()


def make_key(
    project: Project,
    name: str,
    scopes: tuple[str, ...] = ("ingest",),
    *,
    spans_a_second: int | None = None,
    origins: tuple[str, ...] = (),
    created_by_id: int | None = None,
    public_part: str = "",
    secret: str = "",
) -> NewKey:
    """A new key of `project`; ValueError where a scope, an origin or a given part has the wrong form.

    Random parts hold 192 bits. Given parts (provisioning) must carry the prefixes and at least 16 characters more.
    """
    unknown = set(scopes) - set(SCOPES)
    if unknown or not scopes:
        raise ValueError(f"scopes must be some of {', '.join(SCOPES)}, not {', '.join(sorted(unknown)) or 'none'}")
    origins = read_origins(origins)
    check_origins(scopes, origins)
    public_part = public_part or PUBLIC_PREFIX + secrets.token_hex(12)
    secret = secret or SECRET_PREFIX + secrets.token_hex(24)
    if not public_part.startswith(PUBLIC_PREFIX):
        raise ValueError(f"the public part must begin with {PUBLIC_PREFIX}")
    if not secret.startswith(SECRET_PREFIX) or len(secret) < len(SECRET_PREFIX) + 16:
        raise ValueError(f"the secret part must begin with {SECRET_PREFIX} and have at least 16 characters after it")
    key = ApiKey.objects.create(
        project=project,
        name=name,
        public_part=public_part,
        secret_sha256=hash_secret(secret),
        last_four=secret[-4:],
        scopes=list(scopes),
        spans_a_second=spans_a_second,
        origins=list(origins),
        created_by_id=created_by_id,
    )
    return NewKey(key, secret)


def check_origins(scopes: Iterable[str], origins: Iterable[str]) -> None:
    """ValueError where a key that pages may use would be allowed more than to send signals."""
    if tuple(origins) and set(scopes) != BROWSER_SCOPES:
        raise ValueError("a key with origins must have the scope signal alone: whoever opens the page can read it")


def secret_from_headers(request: HttpRequest) -> str:
    """The Telltale key among the request's headers, or "" (order and forms: docs/api-keys.md).

    `Helicone-Auth`, `x-api-key`, then `Authorization` as Bearer, raw, or Basic with the key as password.
    """
    meta = request.META
    for name in ("HTTP_HELICONE_AUTH", "HTTP_X_API_KEY", "HTTP_AUTHORIZATION"):
        found = _secret_in(meta.get(name, ""))
        if found:
            return found
    return ""


def public_from_headers(request: HttpRequest) -> str:
    """The public part of a key where the headers hold one instead of a secret, or ""."""
    for name in ("HTTP_X_API_KEY", "HTTP_AUTHORIZATION"):
        found = _key_in(request.META.get(name, ""), PUBLIC_PREFIX)
        if found:
            return found
    return ""


def _key_in(value: str, prefix: str) -> str:
    """The key of this prefix in a header, alone or as a bearer's."""
    if value.startswith(prefix):
        return value
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    return rest if scheme.lower() == "bearer" and rest.startswith(prefix) else ""


def _secret_in(value: str) -> str:
    value = unquote(value.strip()) if "%" in value else value.strip()
    found = _key_in(value, SECRET_PREFIX)
    if found:
        return found
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    if scheme.lower() == "basic":
        try:
            decoded = base64.b64decode(rest, validate=False).decode("utf-8", "replace")
        except ValueError:
            return ""
        _, _, password = decoded.partition(":")
        return password.strip() if password.strip().startswith(SECRET_PREFIX) else ""
    return ""


class _KeyCache:
    """Keys seen in the last seconds, so that a revoked one dies within `KEY_CACHE_SECONDS` in every process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[bytes, tuple[float, KeyHolder | None]] = {}
        self._touched: dict[int, float] = {}

    def get(self, digest: bytes) -> tuple[bool, KeyHolder | None]:
        held = self._held.get(digest)
        if held is None or held[0] < time.monotonic():
            return False, None
        return True, held[1]

    def put(self, digest: bytes, holder: KeyHolder | None) -> None:
        with self._lock:
            if len(self._held) >= _CACHE_MAX:
                self._held.clear()
            self._held[digest] = (time.monotonic() + settings.KEY_CACHE_SECONDS, holder)

    def is_due(self, key_id: int) -> bool:
        """Whether last use of the key should be written again; true at most once a minute a process."""
        now = time.monotonic()
        with self._lock:
            if now - self._touched.get(key_id, -LAST_USED_EVERY_SECONDS) < LAST_USED_EVERY_SECONDS:
                return False
            self._touched[key_id] = now
            return True

    def clear(self) -> None:
        with self._lock:
            self._held.clear()
            self._touched.clear()


cache = _KeyCache()


def find_holder(secret: str) -> KeyHolder | None:
    """Whose key `secret` is, or None for an unknown or revoked one; at most `KEY_CACHE_SECONDS` old."""
    if not secret.startswith(SECRET_PREFIX):
        return None
    digest = hash_secret(secret)
    return _held_or_found(digest, {"secret_sha256": digest})


def find_browser_holder(public_part: str) -> KeyHolder | None:
    """Whose key for browsers `public_part` is; None for an unknown or revoked one, and for any other kind of key.

    Only keys that list origins may be named so: they may send signals and nothing else, at a bounded rate, and lie
    open in the page whichever part it holds.
    """
    if not public_part.startswith(PUBLIC_PREFIX) or len(public_part) > _PUBLIC_CHARS_MAX or "\x00" in public_part:
        return None
    holder = _held_or_found(hash_secret(public_part), {"public_part": public_part})
    return holder if holder is not None and holder.origins and holder.scopes == BROWSER_SCOPES else None


def browser_key_ids(project_id: int) -> tuple[int, ...]:
    """The ids of the project's keys that pages in browsers hold, revoked ones among them."""
    return tuple(ApiKey.objects.filter(project_id=project_id).exclude(origins=[]).values_list("id", flat=True))


def _held_or_found(digest: bytes, where: dict[str, Any]) -> KeyHolder | None:
    known, holder = cache.get(digest)
    if not known:
        row = (
            ApiKey.objects.unscoped("a key says of which project it is")
            .filter(revoked_at=None, project__deletion_asked_at=None, **where)
            .values_list("id", "project_id", "project__slug", "scopes", "spans_a_second", "origins")
            .first()
        )
        holder = KeyHolder(row[0], row[1], row[2], frozenset(row[3]), row[4], tuple(row[5])) if row else None
        cache.put(digest, holder)
    if holder and cache.is_due(holder.key_id):
        ApiKey.objects.filter(pk=holder.key_id).update(last_used_at=clock.now())
    return holder


def revoke(key: ApiKey) -> bool:
    """Revoke `key`; True where this call did it, False where it was revoked already."""
    return ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=clock.now()) == 1
