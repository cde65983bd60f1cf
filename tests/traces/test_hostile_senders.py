"""Senders that stop half-way: they get an answer, and the thread that waited for them goes on to others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import RequestFactory
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize

from telltale.accounts.models import Organisation
from telltale.projects import keys
from telltale.projects.models import Project
from traces.ingest import refusals, views

SECRET = "tt_sk_" + "4" * 32


@pytest.fixture
def project(db: None) -> Iterator[Project]:
    refusals.forget()
    keys.cache.clear()
    organisation = Organisation.objects.create(name="Line", slug="line")
    project = Project.objects.create(organisation=organisation, name="line", slug="line")
    keys.make_key(project, "sdk", ("ingest",), secret=SECRET)
    yield project
    keys.cache.clear()


class Line:
    """A connection as gunicorn hands it on: reads give its `parts` one by one, an exception among them is raised."""

    def __init__(self, *parts: Any) -> None:
        self.parts = list(parts)
        self.timeouts: list[float | None] = []
        self.is_shut = False

    def read(self, size: int) -> bytes:
        part = self.parts.pop(0) if self.parts else b""
        if isinstance(part, Exception):
            raise part
        return bytes(part)

    def gettimeout(self) -> None:
        return None

    def settimeout(self, seconds: float | None) -> None:
        self.timeouts.append(seconds)

    def shutdown(self, how: int) -> None:
        self.is_shut = True


def send_over(line: Line, secret: str = SECRET, length: str = "100") -> Any:
    request = RequestFactory().post(
        "/v1/traces", b"x", content_type="application/json", HTTP_AUTHORIZATION=f"Bearer {secret}"
    )
    request.environ["CONTENT_LENGTH"] = length
    request.environ["HTTP_TRANSFER_ENCODING"] = "" if length else "chunked"
    request.environ["wsgi.input"] = request.environ["gunicorn.socket"] = line
    return views.otlp_traces(request)


def test_a_sender_that_stops_sending_is_let_go_of_to_try_again(project: Project) -> None:
    line = Line(b"half", TimeoutError("timed out"))

    response = send_over(line)

    assert (response.status_code, response["Retry-After"]) == (503, "1")
    assert "stopped arriving" in json.loads(response.content)["message"]
    assert line.timeouts == [10.0, None]
    assert line.is_shut


@pytest.mark.parametrize("length", ["100", ""])
@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset"), InvalidChunkSize(b"zz"), None])
def test_a_body_that_breaks_off_is_the_senders_fault(project: Project, length: str, error: Exception | None) -> None:
    if error is None and not length:
        error = ChunkMissingTerminator(b"xx")

    response = send_over(Line(b"half", *([error] if error else [])), length=length)

    assert response.status_code == 400
    assert "internal" not in json.loads(response.content)["message"]


def test_a_refused_sender_that_stops_sending_holds_no_thread(project: Project) -> None:
    line = Line(b"half", TimeoutError("timed out"))

    response = send_over(line, secret="tt_sk_" + "6" * 32)

    assert response.status_code == 401
    assert line.timeouts == [1.0, None]
    assert line.is_shut
