"""A receiver of messages on loopback that answers by plan, and remembers what came."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Receiver:
    """`plan`: (status, headers, seconds to wait) for each request in its turn; 204 beyond it. `got`: what came."""

    def __init__(self, plan=()):
        self.plan = list(plan)
        self.got = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, dict(self.headers), body))
                status, headers, wait = outer.plan.pop(0) if outer.plan else (204, {}, 0)
                time.sleep(wait)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    return

            do_GET = do_POST

            def log_message(self, *args):
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    @property
    def ids(self):
        return [headers["webhook-id"] for _, headers, _ in self.got]

    @property
    def bodies(self):
        return [json.loads(body) for _, _, body in self.got]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
