"""Requests that arrive broken: bytes flipped, cut off, sent twice, framed wrongly, between good ones."""

from __future__ import annotations

import gzip
import random
import socket
import threading
import time
from collections import Counter

from benchmarks._client import Wire, post_headers
from benchmarks._product import Product
from benchmarks.chaos.overload import second_key
from benchmarks.chaos.scene import Scene, scenario, started
from benchmarks.corpus import Corpus

SLOWEST_S = 5.0


def broken(rng: random.Random, body: bytes) -> tuple[str, bytes, bool]:
    """A body damaged in one way: its name, the bytes, whether they are gzip."""
    packed = gzip.compress(body, 1)
    way = rng.choice(("flip", "flip in gzip", "cut", "cut gzip", "noise", "zeros", "doubled", "tail", "gzip twice"))
    if way == "flip":
        flipped = bytearray(body)
        for _ in range(rng.choice((1, 3, 40))):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return way, bytes(flipped), False
    if way == "flip in gzip":
        flipped = bytearray(packed)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return way, bytes(flipped), True
    whole = {
        "cut": body[: rng.randrange(len(body))], "noise": rng.randbytes(rng.randrange(1, 4000)), "zeros": bytes(2000),
        "doubled": body + body, "tail": body + rng.randbytes(20),
    }  # fmt: skip
    if way in whole:
        return way, whole[way], False
    return way, packed[: rng.randrange(len(packed))] if way == "cut gzip" else gzip.compress(packed), True


def misframe(product: Product, rng: random.Random, key: str, body: bytes) -> None:
    """A post whose frame is wrong: length too long or too short, chunks that are none, a second request glued on."""
    head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    head += "Content-Type: application/x-protobuf\r\n"
    framed = {
        "longer": f"Content-Length: {len(body) + 500}\r\n\r\n".encode() + body,
        "shorter": f"Content-Length: {len(body) // 2}\r\n\r\n".encode() + body,
        "no chunks": b"Transfer-Encoding: chunked\r\n\r\n" + body,
        "both": f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + body,
        "negative": b"Content-Length: -5\r\n\r\n" + body,
        "half a header": b"Content-Le",
    }[rng.choice(("longer", "shorter", "no chunks", "both", "negative", "half a header"))]
    wire = Wire(product.url)
    try:
        with socket.create_connection((wire.host, wire.port), timeout=0.3) as link:
            link.sendall(head.encode() + framed)
            link.recv(4096)
    except OSError:
        return


@scenario("requests-corrupted", "R3 R4 R5 R6")
def requests_corrupted(scene: Scene) -> None:
    """Hundreds of damaged, cut and wrongly framed posts by four clients beside good ones, in another project"""
    wanted = 60 if scene.quick else 400
    with started() as product:
        other = second_key(product)
        told: Counter[int] = Counter()
        slow: list[float] = []
        texts: list[bytes] = []

        def damage(number: int) -> None:
            rng = random.Random(scene.seed * 1000 + number)
            traces = [batch.body for batch in Corpus(scene.seed * 77 + number, 1_500, end_s=time.time()).small()]
            wire = Wire(product.url, timeout_s=20)
            for at in range(wanted):
                if at % 5 == 4:
                    misframe(product, rng, other, traces[at % len(traces)])
                    continue
                _, body, is_gzip = broken(rng, traces[at % len(traces)])
                began = time.perf_counter()
                status, _, answer = wire.ask("POST", "/v1/traces", body, post_headers(other, is_gzip=is_gzip))
                slow.append(time.perf_counter() - began)
                told[status] += 1
                if status != 200:
                    texts.append(answer)
            wire.close()

        with scene.load(product) as load:
            began = time.monotonic()
            threads = [threading.Thread(target=damage, args=(n,), daemon=True) for n in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            ended = time.monotonic()
        scene.say(f"damaged ones: {dict(sorted(told.items()))}")
        wrong = [f"{n} answers {status}" for status, n in told.items() if status not in {200, 400, 413, 415, 429, 503}]
        scene.hold("damaged bodies are 200, 400, 413, 415 or retryable", sum(told.values()), wrong)
        leaks = [text[:100].decode(errors="replace") for text in texts if b"Traceback" in text or b'File "' in text]
        scene.hold("no internals in refusals", len(texts), leaks)
        scene.report.add("slowest answer to a damaged one", max(slow, default=0), "s", SLOWEST_S)
        scene.answered(load, began, ended)
        scene.recovered(load, ended, bar=5, name="a plain trace afterwards")
        scene.drained(product, ended)
        # Flipped bits make spans that nobody sent.
        scene.balance(load, only_sent=False)
