"""Who is sent something while secrets are planted: receivers of spans and webhooks, a mail server, a model."""

from __future__ import annotations

import contextlib
import email
import gzip
import http.server
import json
import socketserver
import threading
from collections import defaultdict
from email.policy import default as MODERN
from typing import Any


def _serve(server: socketserver.BaseServer) -> None:
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()


class Receiver:
    """Takes what is posted, and remembers the bodies and addresses."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                outer.taken.append(f"{self.path}\n{self.headers}\n".encode() + body)
                status, kind, answer = outer.answer(body)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        _serve(self._server)

    def answer(self, body: bytes) -> tuple[int, str, bytes]:
        """What a request is answered: status, type, body."""
        return 200, "application/x-protobuf", b""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


class Model(Receiver):
    """A model endpoint whose answers hold secrets. `to_say`: by kind of answer, those that are still to be said."""

    def __init__(self) -> None:
        super().__init__()
        self.to_say: dict[str, list[str]] = defaultdict(list)
        self._lock = threading.Lock()

    def _next(self, *kinds: str) -> tuple[str, str]:
        with self._lock:
            for kind in kinds:
                if self.to_say[kind]:
                    return kind, self.to_say[kind].pop()
        return "", ""

    @property
    def left(self) -> int:
        """How many secrets it has not said yet."""
        return sum(map(len, self.to_say.values()))

    def answer(self, body: bytes) -> tuple[int, str, bytes]:
        """A chat completion: a verdict for a judge's prompt, else a text."""
        asked = json.loads(body)
        shape = asked.get("response_format", {}).get("json_schema", {}).get("schema")
        message: dict[str, Any] = {"role": "assistant"}
        if shape is not None:
            message["content"] = self._verdict(shape)
        elif "PROBE" in asked["messages"][-1]["content"]:
            kind, secret = self._next("probe answer", "probe tool")
            message["content"] = f"391 {secret}" if kind != "probe tool" else "391"
            if kind == "probe tool":
                call = {"name": "find", "arguments": json.dumps({"of": secret})}
                message["tool_calls"] = [{"id": "1", "type": "function", "function": call}]
        else:
            message["content"] = f"So be it: {self._next('experiment answer')[1]}"
        told = {
            "id": "x", "object": "chat.completion", "model": asked["model"],
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        }  # fmt: skip
        return 200, "application/json", json.dumps(told).encode()

    def _verdict(self, shape: dict[str, Any]) -> str:
        kind, secret = self._next("judge's reason", "judge's quote", "judge's prose")
        if kind == "judge's prose":
            return f"I would rather not score what says {secret}."
        criteria = {
            key: {
                "reason": f"It says {secret}." if kind == "judge's reason" else "It is fine.",
                "evidence": [f"so {secret} it is"] if kind == "judge's quote" else [], "unsure": False, "score": 4,
            }
            for key in shape["properties"]["criteria"]["properties"]
        }  # fmt: skip
        return json.dumps({"injection_attempt": False, "criteria": criteria})


class MailServer:
    """Takes mail by SMTP, and remembers it as its readers see it."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    word = line[:4].upper()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        lines = []
                        while (told := self.rfile.readline()) not in (b".\r\n", b""):
                            lines.append(told)
                        outer.taken.append(_as_read(b"".join(lines)))
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 fine\r\n")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        _serve(self._server)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"smtp://127.0.0.1:{self._server.server_address[1]}?starttls=0"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


def _as_read(raw: bytes) -> bytes:
    """A mail as it was sent, and its parts with their encodings undone."""
    message = email.message_from_bytes(raw, policy=MODERN)
    parts = [part.get_payload(decode=True) or b"" for part in message.walk() if not part.is_multipart()]
    return b"\n".join([raw, str(message["subject"]).encode(), *(part for part in parts if isinstance(part, bytes))])
