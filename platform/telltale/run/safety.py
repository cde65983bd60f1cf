"""Settings with which nothing is served."""

from __future__ import annotations

import os

from telltale.run.home import RunError

SECRET_KEY_LENGTH_MIN = 32
# "aaaa…", "1234512345…": long, and guessed at once.
SECRET_KEY_CHARACTERS_MIN = 8
# Out of examples and templates; whoever reads them can sign sessions.
KNOWN_KEYS = (
    "changeme", "change-me", "change_me", "django-insecure", "secret", "your-secret-key", "insecure", "default",
    "telltale", "password", "example",
)  # fmt: skip
LOOPBACK = {"", "127.0.0.1", "::1", "localhost"}


def unsafe_settings() -> list[str]:
    """What must not be, in words; empty when all is well. It reads the environment: Django may not be there yet."""
    found = []
    key = os.environ.get("TELLTALE_SECRET_KEY", "").strip()
    old = [key.strip() for key in os.environ.get("TELLTALE_OLD_SECRET_KEYS", "").split(",") if key.strip()]
    if key and _is_weak(key):
        found.append(
            f"TELLTALE_SECRET_KEY is known, too simple or shorter than {SECRET_KEY_LENGTH_MIN} characters. "
            "Leave it out to have one made and kept."
        )
    if any(_is_weak(each) for each in old):
        # They sign sessions as well as the new one does.
        found.append("TELLTALE_OLD_SECRET_KEYS holds a key that is known, too simple or too short.")
    debug = os.environ.get("TELLTALE_DEBUG", "").strip().lower() in {"1", "true", "yes", "on"}
    if debug and os.environ.get("TELLTALE_BIND", "").strip() not in LOOPBACK:
        found.append("TELLTALE_DEBUG is on at an address that other machines reach: error pages show too much.")
    public = os.environ.get("TELLTALE_PUBLIC_URL", "").strip().lower()
    if debug and public and not public.split("//", 1)[-1].startswith(("127.0.0.1", "localhost", "[::1]")):
        found.append("TELLTALE_DEBUG is on and TELLTALE_PUBLIC_URL says that others come: error pages show too much.")
    return found


def _is_weak(key: str) -> bool:
    return (
        len(key) < SECRET_KEY_LENGTH_MIN
        or len(set(key)) < SECRET_KEY_CHARACTERS_MIN
        or key.lower().startswith(KNOWN_KEYS)
    )


def refuse_unsafe_settings() -> None:
    """RunError where `unsafe_settings` finds anything."""
    if found := unsafe_settings():
        raise RunError(" ".join(found))
