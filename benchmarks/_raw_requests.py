"""Requests that are broken as HTTP, not as OTLP: sent on sockets, since no client would send them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes on a socket; `cut` closes our side behind them."""

    name: str
    data: bytes
    cut: bool = True


def raw_requests(secret: str) -> Iterator[Raw]:
    """Every one of them; the key is a real one, so that nothing is refused for want of it."""
    key = f"Authorization: Bearer {secret}\r\n".encode()
    otlp = b"Content-Type: application/x-protobuf\r\n"

    def post(headers: bytes, body: bytes = b"", path: bytes = b"/v1/traces", version: bytes = b"HTTP/1.1") -> bytes:
        return b"POST " + path + b" " + version + b"\r\nHost: localhost\r\n" + key + headers + b"\r\n" + body

    yield Raw("length too long", post(otlp + b"Content-Length: 5000\r\n", b"\n\x02"))
    yield Raw("length too short", post(otlp + b"Content-Length: 1\r\n", b"\n\x02\x12\x00" * 50))
    yield Raw("length negative", post(otlp + b"Content-Length: -1\r\n"))
    yield Raw("length no number", post(otlp + b"Content-Length: many\r\n"))
    yield Raw("length huge", post(otlp + b"Content-Length: 99999999999999999999\r\n"))
    yield Raw("length a terabyte", post(otlp + b"Content-Length: 1099511627776\r\n", b"x"))
    yield Raw("length twice", post(otlp + b"Content-Length: 2\r\nContent-Length: 4\r\n", b"\n\x00\n\x00"))
    yield Raw("length and chunked", post(otlp + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
    chunked = otlp + b"Transfer-Encoding: chunked\r\n"
    yield Raw("chunked empty", post(chunked, b"0\r\n\r\n"))
    yield Raw("chunked, size no number", post(chunked, b"zz\r\nabc\r\n0\r\n\r\n"))
    yield Raw("chunked, size negative", post(chunked, b"-5\r\nabc\r\n0\r\n\r\n"))
    yield Raw("chunked, size huge", post(chunked, b"FFFFFFFFFFFFFFFF\r\nabc\r\n"))
    yield Raw("chunked, cut", post(chunked, b"400\r\nabc"))
    yield Raw("chunked, no end", post(chunked, b"3\r\nabc\r\n"))
    yield Raw("chunked, 10,000 single bytes", post(chunked, b"1\r\n\n\r\n" * 10_000 + b"0\r\n\r\n"))
    yield Raw("chunked, extension of 100 KB", post(chunked, b"1;" + b"x" * 100_000 + b"\r\n\n\r\n0\r\n\r\n"))
    yield Raw("unknown transfer coding", post(otlp + b"Transfer-Encoding: gzip\r\n", b"abc"))
    yield Raw("coding hidden by a tab", post(otlp + b"Transfer-Encoding:\tchunked, identity\r\n", b"0\r\n\r\n"))
    yield Raw("header of 1 MB", post(otlp + b"X-Long: " + b"a" * (1 << 20) + b"\r\nContent-Length: 0\r\n"))
    yield Raw("10,000 headers", post(otlp + b"X-Many: a\r\n" * 10_000 + b"Content-Length: 0\r\n"))
    yield Raw("header without colon", post(otlp + b"Nonsense\r\nContent-Length: 0\r\n"))
    yield Raw("header with NUL", post(otlp + b"X-Nul: a\0b\r\nContent-Length: 0\r\n"))
    yield Raw("header with latin-1", post(otlp + b"X-Odd: \xff\xfe\xe9\r\nContent-Length: 0\r\n"))
    yield Raw("folded header", post(otlp + b"X-Fold: a\r\n b\r\nContent-Length: 0\r\n"))
    yield Raw("bare line feeds", post(otlp + b"Content-Length: 0\r\n").replace(b"\r\n", b"\n"))
    yield Raw("expect what nobody has", post(otlp + b"Expect: 200-ok\r\nContent-Length: 2\r\n", b"\n\x00"))
    yield Raw("upgrade", post(otlp + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 0\r\n"))
    yield Raw("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield Raw("HTTP/0.9", b"GET /healthz\r\n")
    yield Raw("HTTP/9.9", post(otlp + b"Content-Length: 0\r\n", version=b"HTTP/9.9"))
    yield Raw("no version", post(otlp + b"Content-Length: 0\r\n", version=b""))
    yield Raw("TLS on a plain port", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200)
    yield Raw("nothing at all", b"")
    yield Raw("zeros", b"\0" * 5_000)
    yield Raw("no method", b" /v1/traces HTTP/1.1\r\nHost: localhost\r\n\r\n")
    yield Raw("method of 10 KB", b"P" * 10_000 + b" /v1/traces HTTP/1.1\r\nHost: localhost\r\n\r\n")
    yield Raw("path of 100 KB", post(otlp + b"Content-Length: 0\r\n", path=b"/v1/traces?" + b"a" * 100_000))
    yield Raw("path with NUL", post(otlp + b"Content-Length: 0\r\n", path=b"/v1/traces%00"))
    yield Raw("path above the root", post(otlp + b"Content-Length: 0\r\n", path=b"/../../etc/passwd"))
    yield Raw("path of bad UTF-8", post(otlp + b"Content-Length: 0\r\n", path=b"/v1/traces/%ff%fe/\xff"))
    yield Raw("absolute path elsewhere", post(otlp + b"Content-Length: 0\r\n", path=b"http://example.com/v1/traces"))
    yield Raw("two hosts", post(b"Host: example.com\r\n" + otlp + b"Content-Length: 0\r\n"))
    yield Raw("hostile host", b'GET /accounts/login/ HTTP/1.1\r\nHost: ev"il<>.example\r\n\r\n')
    yield Raw("no host", b"POST /v1/traces HTTP/1.1\r\n" + key + otlp + b"Content-Length: 0\r\n\r\n")
    yield Raw("smuggled second request", post(otlp + b"Content-Length: 0\r\n") + b"GET /readyz HTTP/1.1\r\n\r\n")
    yield Raw("cookies of 60 KB", b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"a=b; " * 12_000 + b"\r\n\r\n")
    yield Raw(
        "form of 10,000 fields",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: 39999\r\n\r\n" + b"a=b&" * 9_999 + b"a=b",
    )
    yield Raw(
        "multipart without end",
        b"POST /accounts/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        b"Content-Length: 30\r\n\r\n--x\r\nContent-Disposition: form",
    )
