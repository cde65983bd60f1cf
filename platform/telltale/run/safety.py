"""Settings with which nothing is served."""

from __future__ import annotations

import os

from telltale.run.home import RunError

SECRET_KEY_LENGTH_MIN = 32
# Out of examples and templates; whoever reads them can sign sessions.
KNOWN_KEYS = ("changeme", "change-me", "django-insecure", "secret", "your-secret-key")
LOOPBACK = {"", "127.0.0.1", "::1", "localhost"}


def unsafe_settings() -> list[str]:
    """What must not be, in words; empty when all is well. It reads the environment: Django may not be there yet."""
    found = []
    key = os.environ.get("TELLTALE_SECRET_KEY", "").strip()
    if key and (len(key) < SECRET_KEY_LENGTH_MIN or key.lower().startswith(KNOWN_KEYS)):
        found.append(
            f"TELLTALE_SECRET_KEY is known or shorter than {SECRET_KEY_LENGTH_MIN} characters. "
            "Leave it out to have one made and kept."
        )
    debug = os.environ.get("TELLTALE_DEBUG", "").strip().lower() in {"1", "true", "yes", "on"}
    if debug and os.environ.get("TELLTALE_BIND", "").strip() not in LOOPBACK:
        found.append("TELLTALE_DEBUG is on at an address that other machines reach: error pages show too much.")
    return found


def refuse_unsafe_settings() -> None:
    """RunError where `unsafe_settings` finds anything."""
    if found := unsafe_settings():
        raise RunError(" ".join(found))
