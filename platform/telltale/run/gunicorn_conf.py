"""How gunicorn serves the product. Read by gunicorn as its configuration: each name below is one of its settings."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import struct
from typing import Any

# TELLTALE_WEB_WORKERS and TELLTALE_WEB_THREADS; asked from Django's settings, which also name a wrong value.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
from django.conf import settings

from telltale.run.safety import refuse_unsafe_settings

refuse_unsafe_settings()
bind = f"{settings.TELLTALE_BIND}:{settings.TELLTALE_PORT}"
# Threads, and no thread for headers that are still coming.
worker_class = "telltale.run.gthread.Worker"
workers = settings.TELLTALE_WEB_WORKERS
threads = settings.TELLTALE_WEB_THREADS
# Imported once, shared by the forks. The database pool opens at first use, which is after the fork.
preload_app = True
keepalive = 75
# Below the 1,024 open files that many shells allow: an accept beyond them would end the worker.
worker_connections = 800
# A process whose main loop stands still is replaced; slow requests do not stop that loop.
timeout = 40
graceful_timeout = 3
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
# The product looks at X-Forwarded-* itself, by TELLTALE_TRUSTED_PROXIES.
forwarded_allow_ips = ""
control_socket_disable = True
accesslog = None
errorlog = "-"
logger_class = "telltale.run.serverlog.Logger"
loglevel = "info"
# The most that gunicorn bounds: the address of a list with two ids of 1,024 bytes as filters is 6 kB, that of a saved
# view up to 8,000 characters. Of headers senders of OTLP have few: the default of 100 is wide.
limit_request_line = 8190
limit_request_fields = 100
HEADER_STALL_SECONDS = 10
# Somebody who downloads and takes nothing for so long holds a thread for nothing.
SEND_STALL_SECONDS = 60


def when_ready(server: Any) -> None:
    """In the master, before it forks: load what the first request would, then leave it out of garbage collection.

    And let no connection wait for ever in the middle of its headers or of an answer, for it holds a thread: accepted
    sockets take these time-outs over from the listening one.
    """
    from django.template import engines
    from django.urls import get_resolver

    for listener in server.LISTENERS:
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", HEADER_STALL_SECONDS, 0))
        listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_STALL_SECONDS, 0))
    _ = get_resolver().url_patterns
    engines.all()
    gc.collect()
    gc.freeze()


def post_worker_init(worker: Any) -> None:
    """In a worker, before it takes requests: a database connection and one page through the whole stack.

    Without it the first request of each worker pays for both. A database that is away is no reason not to serve.
    """
    from django.db import Error, connection
    from django.test import RequestFactory
    from psycopg import OperationalError

    from telltale.lib.logs import watch_threads

    watch_threads()
    with contextlib.suppress(Error, OperationalError):
        connection.ensure_connection()
    connection.close()
    named = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
    host = named[0] if named else "localhost"
    request = RequestFactory().get(settings.LOGIN_URL, HTTP_HOST=host, REMOTE_ADDR="127.0.0.1")
    # Behind the quick refusal of traces.ingest.shed stands Django's own handler.
    worker.app.wsgi().application.get_response(request).close()
    if settings.TELLTALE_WATCHDOG:
        from alerts import standing_guard

        standing_guard.start()
