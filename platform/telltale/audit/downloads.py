"""Downloads of lists in the audit log: once per download, when it ends, also where it was broken off.

What was searched for is not written down: of filters that people type into, and of ids, the names alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from telltale.audit.log import record

if TYPE_CHECKING:
    from telltale.projects.models import Project

ACTION = "export.list"
# Their values are windows, orders and choices of ours; what is asked for by any other may be of a person.
_TOLD = frozenset({"t", "from", "to", "sort", "by", "of", "what", "state", "columns", "version"})
_NAME = re.compile(r'filename="([^"]+)"')
_TEXT_MAX = 120


class ListFile(StreamingHttpResponse):
    """A list as a file in a stream; `count` says how many rows went out so far."""

    def __init__(self, pieces: Any, count: Callable[[], int], **options: Any) -> None:
        super().__init__(pieces, **options)
        self.count = count


def audit_download(
    request: HttpRequest,
    response: HttpResponseBase,
    *,
    project: Project | None = None,
    organisation_id: int | None = None,
) -> HttpResponseBase:
    """`response`; where it is a list as a file, its end will be an entry of the log. Anything else passes as it is."""
    if not isinstance(response, ListFile) or request.method != "GET":
        return response
    found = _NAME.search(response.headers.get("Content-Disposition", ""))
    query = request.GET
    told: dict[str, Any] = {"format": query.get("format", "")}
    told |= {name: query[name][:_TEXT_MAX] for name in sorted(query) if name in _TOLD and query[name]}
    narrowed = sorted(name[:64] for name in query if name not in {*_TOLD, "format", "project"} and query[name])
    if narrowed:
        told["narrowed_by"] = narrowed[:50]

    def note(outcome: str) -> None:
        record(
            ACTION,
            request=request,
            organisation_id=project.organisation_id if project is not None else organisation_id,
            project_id=project.pk if project is not None else None,
            target=found[1] if found else request.path,
            after={**told, "rows": response.count()},
            outcome=outcome,
        )

    response.streaming_content = _Watched(response.streaming_content, note)
    return response


class _Watched:
    """The pieces of a file; `note` hears once whether all of them went out."""

    def __init__(self, pieces: Any, note: Callable[[str], None]) -> None:
        self._pieces: Iterator[bytes] = iter(pieces)
        self._note: Callable[[str], None] | None = note

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self._end("done")
            raise

    def close(self) -> None:
        """The answer is over: whoever read it went away, unless all of it was read."""
        self._end("broken off")

    def _end(self, outcome: str) -> None:
        note, self._note = self._note, None
        if note is not None:
            note(outcome)
