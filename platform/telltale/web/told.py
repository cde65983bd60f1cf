"""Where notes wait for the next page: "The key is revoked."

In a cookie of that browser. In the session a request that a page makes by itself meanwhile would take them: it renders
the whole page for one part of it, and nobody sees the rest.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class HostCookieStorage(CookieStorage):
    """The cookie, of this host alone behind TLS."""

    cookie_name = f"{settings.COOKIE_PREFIX}messages"


class Storage(FallbackStorage):
    """The cookie, or the session for what is too long for one."""

    storage_classes = (HostCookieStorage, SessionStorage)
