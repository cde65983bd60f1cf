"""A receiver that keeps what the SDK sends and answers as a test tells it, and an SDK that is fresh for every test."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gzip
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import telltale_sdk as telltale
from telltale_sdk import _guard
from telltale_sdk._context import EMPTY, frame


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


def spans_of(body):
    """The spans of an OTLP body, as objects a test can read."""
    made = []
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        told = {item.key: value_of(item.value) for item in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                made.append(
                    SimpleNamespace(
                        name=span.name, trace_id=span.trace_id.hex(), span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(), start_ns=span.start_time_unix_nano,
                        end_ns=span.end_time_unix_nano, is_error=span.status.code == 2, message=span.status.message,
                        attributes={item.key: value_of(item.value) for item in span.attributes}, resource=told,
                        events=[{"name": event.name} | {item.key: value_of(item.value) for item in event.attributes}
                                for event in span.events],
                    )
                )  # fmt: skip
    return made


class Receiver(ThreadingHTTPServer):
    """Takes spans and signals; `answers` are (status, headers) to give before 200, `hold` is waited for first."""

    daemon_threads = True

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.lock = threading.Lock()
        self.forget()

    def forget(self):
        self.answers, self.always, self.body = [], None, b""
        self.spans, self.signals, self.scores, self.requests = [], [], [], []  # scores by request
        self.hold = None

    def named(self, name):
        [found] = [span for span in self.spans if span.name == name]
        return found


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        server = self.server
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if server.hold is not None:
            server.hold.wait(30)
        with server.lock:
            server.requests.append((self.path, dict(self.headers)))
            status, headers = server.always or (server.answers.pop(0) if server.answers else (200, {}))
            if status == 200 and self.path == "/v1/traces":
                server.spans += spans_of(gzip.decompress(body))
            elif status == 200:
                told = json.loads(body)
                server.signals += told if isinstance(told, list) else []
                server.scores += [told["scores"]] if isinstance(told, dict) else []
        answer = server.body if status == 200 else b"no"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_GET(self):
        server = self.server
        if server.hold is not None:
            server.hold.wait(30)
        with server.lock:
            server.requests.append((self.path, dict(self.headers)))
            status, headers = server.always or (server.answers.pop(0) if server.answers else (200, {}))
        answer = (server.body or b'{"allowed": true}') if status == 200 else b"no"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        with contextlib.suppress(OSError):  # nobody may wait for it any more
            self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="session")
def _receiver():
    with serving(Receiver()) as server:
        yield server


@pytest.fixture
def serve_at():
    """`serve_at(port)` is a receiver that comes up there."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(serving(Receiver(port)))


@pytest.fixture
def receiver(_receiver):
    """A receiver that takes everything until told otherwise."""
    _receiver.forget()
    yield _receiver
    if _receiver.hold is not None:
        _receiver.hold.set()


@pytest.fixture(autouse=True)
def fresh_sdk(monkeypatch):
    """No settings of the environment, no client of another test."""
    for name in list(os.environ):
        if name.startswith(("TELLTALE_", "OTEL_")) and name not in (
            "TELLTALE_DATABASE_URL", "TELLTALE_HOME",
        ):  # fmt: skip
            monkeypatch.delenv(name)
    _guard.forget_troubles()
    frame.set(EMPTY)
    yield
    telltale.shutdown(0.2)
    _guard.forget_troubles()


@pytest.fixture
def sdk(receiver):
    """`sdk(**settings)` starts the SDK against the receiver and gives what sends all and waits for it."""

    def start(**settings):
        telltale.init(**{"endpoint": receiver.url, "api_key": "tt_sk_test", "service": "shop-api", **settings})

        def send():
            assert telltale.flush(10)
            return receiver

        return send

    return start


@pytest.fixture
def run_python(receiver):
    """`run_python(code)` runs a program of its own with the receiver's address as `URL`; its output."""

    def run(code, *, url=receiver.url, code_expected=0):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", f"URL = {url!r}\n{code}"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == code_expected, done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture(autouse=True)
def loops_of_their_own(monkeypatch):
    """`asyncio.run` in a thread: the browser's driver keeps a loop running in this one."""
    run = asyncio.run

    def apart(main, **options):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(contextvars.copy_context().run, run, main, **options).result()

    monkeypatch.setattr(asyncio, "run", apart)
