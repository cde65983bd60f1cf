"""Refusing before the work of a request begins, while the gate is full.

Under overload most requests are refusals. Through the whole stack each costs about a millisecond of the CPU that the
accepted ones need; here it costs a tenth of that (benchmarks.overload).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any

from telltale.projects.keys import KeyHolder
from traces.ingest import refusals
from traces.ingest.answers import PROTOBUF, otlp_error, problem
from traces.ingest.body import discard_body
from traces.ingest.gate import PACE_SECONDS, Busy, gate

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
_PATH = re.compile(r"^/(?:(?:api/public/)?otel/)?v1/(traces|logs|metrics)/?$|^/(api/v1/traces)/?$")


class Shed:
    """`application`, behind a quick 503 for ingest requests that the gate would refuse anyway."""

    def __init__(self, application: Wsgi) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if (
            gate.is_crowded
            and environ["REQUEST_METHOD"] == "POST"
            and (found := _PATH.match(environ["PATH_INFO"]))
            and (refused := gate.who_is_refused(environ))
        ):
            return _refuse(environ, start_response, found[1] or "native", refused)
        return self.application(environ, start_response)


def _refuse(
    environ: dict[str, Any], start_response: Callable[..., Any], source: str, refused: KeyHolder | bool
) -> Iterable[bytes]:
    busy = Busy("too many requests are being stored at the moment")
    message = busy.message + "; try again"
    # Whose request it is would take the look-up that is being saved: counted without a project where it is not known.
    project_id = refused.project_id if isinstance(refused, KeyHolder) else 0
    refusals.note(project_id, source, 503, "busy", message)
    if source == "native":
        response = problem(503, "busy", message)
    else:
        is_protobuf = (environ.get("CONTENT_TYPE") or "").startswith(PROTOBUF)
        response = otlp_error(PROTOBUF if is_protobuf else "application/json", 503, 14, message)
    response.headers["Retry-After"] = str(busy.retry_after)
    response.headers["Content-Length"] = str(len(response.content))
    discard_body(environ)
    time.sleep(PACE_SECONDS)
    start_response("503 Service Unavailable", list(response.items()))
    return [response.content]
