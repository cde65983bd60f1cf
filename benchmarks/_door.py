"""What hostile.py and odd_traces.py share: a product with a key for everything, and a sender of raw bodies."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from dataclasses import dataclass, field
from typing import Any

import orjson

from benchmarks._client import Answer, Wire
from benchmarks._product import Product, clean_environment, command

SCOPES = "ingest,signal,read,write,admin"


def provision_key(running: Product) -> str:
    """The secret of a key of the product's project with every scope."""
    secret, public = "tt_sk_" + secrets.token_hex(24), "tt_pk_" + secrets.token_hex(12)
    words = command(
        "provision", "--email", running.email, "--project", running.project, "--public-key", public,
        "--secret-key", secret, "--scopes", SCOPES,
    )  # fmt: skip
    environment = clean_environment({"TELLTALE_HOME": str(running.home)})
    subprocess.run(words, env=environment, check=True, capture_output=True, timeout=60)
    return secret


@dataclass(slots=True)
class Door:
    """Requests with the key, each timed."""

    wire: Wire
    secret: str
    slowest: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def post(self, path: str, body: bytes, content_type: str, headers: dict[str, str] | None = None) -> Answer:
        """Send bytes as they are."""
        told = {"Authorization": f"Bearer {self.secret}", "Content-Type": content_type} | (headers or {})
        return self.timed("POST", path, body, told)

    def api(self, method: str, path: str, value: Any = None) -> tuple[int, Any]:
        """One call of the REST API; status and JSON, None where the answer is none."""
        body = None if value is None else orjson.dumps(value)
        headers = {"Authorization": f"Bearer {self.secret}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        status, _, content = self.timed(method, path, body, headers)
        try:
            return status, orjson.loads(content) if content else None
        except orjson.JSONDecodeError:
            return status, None

    def timed(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        """One request; once more on a new connection where the server had closed the idle one."""
        for is_again in (False, True):
            was_kept = self.wire.link is not None
            began = time.perf_counter()
            answer = self.wire.ask(method, path, body, headers)
            took = time.perf_counter() - began
            if answer[0] or is_again or not was_kept:
                break
        self.seconds.append(took)
        self.slowest = max(self.slowest, took)
        return answer


def raw(running: Product, data: bytes, *, cut: bool = False, seconds: float = 10.0) -> tuple[int, bytes, float]:
    """Bytes on a socket of their own; (status, answer, seconds), status 0 where it was closed without an answer.

    `cut`: close our side after the bytes, as a sender does that dies. A hang is status -1.
    """
    host, port = running.url.removeprefix("http://").split(":")
    began = time.perf_counter()
    answer = b""
    with socket.create_connection((host, int(port)), timeout=seconds) as link:
        try:
            link.sendall(data)
            if cut:
                link.shutdown(socket.SHUT_WR)
            while b"\r\n\r\n" not in answer and (piece := link.recv(65536)):
                answer += piece
        except TimeoutError:
            return -1, answer, time.perf_counter() - began
        except OSError:
            pass  # it closed while we were still sending: an answer may have come before
    words = answer.split(b" ", 2)
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    return status, answer, time.perf_counter() - began
