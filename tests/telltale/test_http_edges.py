"""Framing, types of content and doubled parameters: what proxies and clients could read in two ways."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, ParseException
from gunicorn.http.parser import RequestParser

from telltale.projects.models import ApiKey

ROOT = Path(__file__).resolve().parents[2]
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def read(*lines):
    head = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\n" + b"".join(lines) + b"\r\n"
    request = next(RequestParser(Config(), iter([head + b"5\r\nhello\r\n0\r\n\r\n"]), ("192.0.2.1", 1)))
    return request.body.read()


@pytest.mark.parametrize(
    "lines",
    [(CHUNKED, b"Content-Length: 5\r\n"), (b"Content-Length: 5\r\n", CHUNKED),
     (b"Content-Length: 5\r\n", b"Content-Length: 6\r\n"), (b"Content-Length: +5\r\n",), (b"Content-Length: 5,5\r\n",),
     (b"Transfer-Encoding: xchunked\r\n",), (b"Transfer-Encoding: chunked, identity\r\n",), (CHUNKED, CHUNKED),
     (b"Transfer-Encoding : chunked\r\n",), (b"Content_Length\x00: 5\r\n",)],
)  # fmt: skip
def test_a_body_whose_end_could_be_read_in_two_ways_is_refused(lines):
    with pytest.raises((InvalidHeader, ParseException)):
        read(*lines)


def test_a_chunked_body_ends_where_its_chunks_say():
    assert read(CHUNKED) == b"hello"


def test_the_server_tolerates_no_deviation_of_framing():
    code = (
        "import runpy; c = runpy.run_path('platform/telltale/run/gunicorn_conf.py');"
        "print([n for n in ('tolerate_dangerous_framing', 'permit_obsolete_folding', 'strip_header_spaces',"
        " 'permit_unconventional_http_method', 'casefold_http_method', 'forwarder_headers', 'header_map') if n in c])"
    )
    given = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=given, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("address", "kind"),
    [("/", "text/html; charset=utf-8"), ("/p/shop/", "text/html; charset=utf-8"),
     ("/nothing", "text/html; charset=utf-8"),
     ("/healthz", "text/plain; charset=utf-8"), ("/metrics", "text/plain; version=1.0.0; charset=utf-8"),
     ("/readyz", "application/json"), ("/api/v1/traces?project=shop", "application/json"),
     ("/api/v1/nothing", "application/problem+json"), ("/api/schema/", "application/vnd.oai.openapi+json"),
     ("/p/shop/traces/?format=csv", "text/csv; charset=utf-8"),
     ("/p/shop/traces/?format=ndjson", "application/x-ndjson; charset=utf-8"),
     ("/p/shop/settings/audit/?format=csv", "text/csv; charset=utf-8"),
     ("/p/shop/cost/?format=csv", "text/csv; charset=utf-8"),
     ("/static/css/app.css", 'text/css; charset="utf-8"'),
     ("/static/js/telltale.js", 'text/javascript; charset="utf-8"'),
     ("/static/icons.svg", "image/svg+xml")],
)  # fmt: skip
def test_what_is_answered_says_its_type_and_how_its_text_is_written(house, address, kind):
    answer = house.sign_in("erin").get(address)

    answer.close()
    assert answer.headers["Content-Type"] == kind
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_what_stands_in_the_address_is_not_read_as_the_body(house):
    erin = house.sign_in("erin")

    by_rest = erin.post("/api/v1/keys?project=shop&name=a", {"scopes": ["read"]}, "application/json")
    by_form = erin.post("/p/shop/settings/keys/new/?name=of-the-address&scopes=read", {})

    assert by_rest.status_code == 400
    assert by_form.status_code in {200, 400, 422}
    assert not ApiKey.objects.filter(project=house.shop).exists()


def test_a_key_in_cookie_or_address_is_no_key():
    client = Client()
    client.cookies["x-api-key"] = "tt_sk_0"

    assert client.get("/api/v1/traces?api_key=tt_sk_0&authorization=tt_sk_0").status_code == 401
