"""The outermost layers: request ids, the quick way for machines, the browser's security headers."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import sys
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase, HttpResponseNotAllowed
from django.template.response import SimpleTemplateResponse
from django.urls import Resolver404, ResolverMatch, resolve

from telltale.lib.bound import answering
from telltale.lib.patience import answer_within
from telltale.web import errors, refused

# A little over what the database allows a statement: only one that hangs takes longer.
ANSWER_SECONDS = 18.0
GetResponse = Callable[[HttpRequest], HttpResponseBase]
logger = logging.getLogger("telltale.request")

# OTLP below every prefix people's settings produce, and REST. The documents about REST are pages.
MACHINE = re.compile(r"^/(v1/|otel/|api/(?!docs(/|$)|schema(/|$))|healthz/?$|readyz/?$|metrics/?$)")
TITLES = {
    400: "Bad request", 403: "Forbidden", 404: "Not found", 405: "Method not allowed", 413: "Too large",
    503: "Unavailable",
}  # fmt: skip
# They would say back what was sent, headers and all.
ECHOING = frozenset({"TRACE", "TRACK", "CONNECT"})
PERMISSIONS_POLICY = ", ".join(
    f"{feature}=()"
    for feature in (
        "accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation",
        "gyroscope", "magnetometer", "microphone", "midi", "payment", "picture-in-picture", "publickey-credentials-get",
        "screen-wake-lock", "usb", "xr-spatial-tracking",
    )
)  # fmt: skip


class MachinePathMiddleware:
    """Names the request, and takes machine paths straight to their view.

    Those have no session, no cookie, no CSRF check and never a redirect: a 301 loses an exporter's body. With and
    without a trailing slash is the same address. Whatever goes wrong is answered as problem+json without internals.
    """

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        request.request_id = new_request_id()  # type: ignore[attr-defined]
        trust_proxy(request)
        with answer_within(ANSWER_SECONDS), answering():
            response = self._respond(request)
        refused.note(request, response.status_code, request_id(request))
        return response

    def _respond(self, request: HttpRequest) -> HttpResponseBase:
        if MACHINE.match(request.path_info) or request.method in ECHOING:
            response = self._answer(request)
            response.headers.setdefault("Cache-Control", "no-store")
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            if settings.SECURE_HSTS_SECONDS and request.is_secure():
                response.headers.setdefault("Strict-Transport-Security", hsts())
        else:
            response = self.get_response(request)
        response.headers["X-Request-Id"] = request.request_id  # type: ignore[attr-defined]
        return without_body(response) if request.method == "HEAD" else response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if request.method in ECHOING:
            return problem(request, 405, "This method is not served here.")
        try:
            match = _resolve(request.path_info)
            request.resolver_match = match
            response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
            return response.render() if isinstance(response, SimpleTemplateResponse) else response
        except Http404:
            return problem(request, 404, "There is nothing at this address.")
        except PermissionDenied:
            return problem(request, 403, "Not allowed.")
        except RequestDataTooBig:
            return problem(request, 413, "The body is larger than this address takes.")
        except (BadRequest, SuspiciousOperation):
            return problem(request, 400, "The request could not be read.")
        except (OperationalError, InterfaceError):
            logger.warning("database unavailable", exc_info=True, extra={"reference": request_id(request)})
            response = problem(request, 503, "The database is not reachable just now. Send it again.")
            response.headers["Retry-After"] = "2"
            return response
        except Exception:  # the outermost edge: nothing of the error may reach the sender
            logger.error("unhandled error", exc_info=True, extra={"reference": request_id(request)})
            return problem(request, 500, f"Something broke on our side. Reference {request_id(request)}.")


class BrowserShellMiddleware:
    """The headers that keep a page in its place, and designed bodies for errors that come without one."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed) and not response.content:
            response = errors.method_not_allowed(request, response)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """A page without its database is a 503 that says so, not a 500."""
        if isinstance(exception, OperationalError | InterfaceError):
            logger.warning("database unavailable", exc_info=sys.exc_info(), extra={"reference": request_id(request)})
            return errors.unavailable(request)
        return None


def hsts() -> str:
    """What Django's own layer sends with pages, for machine paths, which do not pass it."""
    return f"max-age={settings.SECURE_HSTS_SECONDS}" + (
        "; includeSubDomains" if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS else ""
    )


def without_body(response: HttpResponseBase) -> HttpResponseBase:
    """The answer to HEAD: its headers, with the length that GET would send where that is known, and nothing else.

    What is left of a body gunicorn drops, with a warning in the log for each request.
    """
    if isinstance(response, StreamingHttpResponse):
        response.streaming_content = ()
    elif isinstance(response, HttpResponse):
        response.headers.setdefault("Content-Length", str(len(response.content)))
        response.content = b""
    return response


def new_request_id() -> str:
    """A short reference a person can read out: "7f3a-19c2"."""
    digits = secrets.token_hex(4)
    return f"{digits[:4]}-{digits[4:]}"


def request_id(request: HttpRequest) -> str:
    """The reference of this request."""
    return str(getattr(request, "request_id", "none"))


def problem(request: HttpRequest, status: int, detail: str) -> JsonResponse:
    """An RFC 9457 answer without internals."""
    title = TITLES.get(status, "Internal error")
    return JsonResponse(
        {"title": title, "status": status, "detail": detail, "id": request_id(request)},
        status=status,
        content_type="application/problem+json",
    )


def _resolve(path: str) -> ResolverMatch:
    try:
        return resolve(path)
    except Resolver404:
        return resolve(path[:-1] if path.endswith("/") else path + "/")


@cache
def _trusted(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text, strict=False) for text in networks)


def trust_proxy(request: HttpRequest) -> None:
    """Take the client's address and scheme from X-Forwarded-*, where the sender is one of our own proxies.

    The last address in X-Forwarded-For that is not a proxy of ours counts: what stands before it is hearsay.
    """
    trusted = _trusted(tuple(settings.TELLTALE_TRUSTED_PROXIES))
    if not trusted or not _is_in(request.META.get("REMOTE_ADDR", ""), trusted):
        return
    for text in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = text.strip()
        if not _is_address(address):
            break
        request.META["REMOTE_ADDR"] = address
        if not _is_in(address, trusted):
            break
    if request.META.get("HTTP_X_FORWARDED_PROTO", "").strip().lower() == "https":
        request.META["wsgi.url_scheme"] = "https"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_in(text: str, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    return _is_address(text) and any(ipaddress.ip_address(text) in network for network in networks)
