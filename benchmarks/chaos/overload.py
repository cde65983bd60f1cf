"""More than can be taken: four times the capacity, huge bodies at once, one key that floods, slow connections."""

from __future__ import annotations

import argparse
import gzip
import json
import secrets
import socket
import subprocess
import threading
import time
from contextlib import ExitStack

from benchmarks import _product
from benchmarks import overload as storms
from benchmarks._client import RETRYABLE, Wire, drive, post_headers
from benchmarks._product import Product
from benchmarks.chaos.scene import Scene, scenario, started
from benchmarks.corpus import Corpus

RSS_BAR_MIB = 1024
MIB = 1 << 20
SPANS_A_TRACE = 8


def _storm(scene: Scene, *, small: bool) -> None:
    seconds = scene.seconds(6, 20)
    args = argparse.Namespace(times=4.0, seconds=seconds, connections=256, seed=scene.seed)
    corpus = Corpus(scene.seed, 20_000 if scene.quick else 60_000, end_s=time.time() // 86_400 * 86_400)
    batches = list(corpus.small() if small else corpus.batches())
    with started() as product:
        storms.storm(scene.report, product, batches, args)
        scene.drained(product, time.monotonic(), bar=600)


@scenario("overload-batches", "R8")
def overload_batches(scene: Scene) -> None:
    """Four times the capacity in requests of 512 spans, without retries, over 256 connections"""
    _storm(scene, small=False)


@scenario("overload-small", "R8")
def overload_small(scene: Scene) -> None:
    """Four times the capacity in requests of one small trace, without retries, over 256 connections"""
    _storm(scene, small=True)


def huge_json(spans: int, text_bytes: int, salt: str, spans_a_trace: int = SPANS_A_TRACE) -> bytes:
    """An OTLP/JSON body of spans with long texts."""
    now = time.time_ns()
    attributes = [{"key": f"k{n}", "value": {"stringValue": f"v{n} of {salt}"}} for n in range(8)]
    traces = [secrets.token_hex(16) for _ in range(spans // spans_a_trace + 1)]
    made = [
        {
            "traceId": traces[at // spans_a_trace], "spanId": secrets.token_hex(8), "name": "step", "kind": 1,
            "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**6),
            "attributes": [
                *attributes, {"key": "input.value", "value": {"stringValue": secrets.token_hex(text_bytes // 2)}}
            ],
        }
        for at in range(spans)
    ]  # fmt: skip
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": made}]}]}).encode()


@scenario("huge-bodies", "R8")
def huge_bodies(scene: Scene) -> None:
    """Eight OTLP/JSON bodies of 60 MB at once, of long texts, many spans and many traces of one, plain and gzipped"""
    with started() as product:
        shapes = {"long texts": (900, 66_000, 8), "many spans": (20_000, 2_200, 8), "many traces": (75_000, 40, 1)}
        for words, (spans, text, spans_a_trace) in shapes.items():
            body = huge_json(spans, text, words, spans_a_trace)
            packed = gzip.compress(body, 1)
            before = product.stored_spans()
            watch = storms.Watch(product)
            watch.start()
            told: list[tuple[int, dict[str, str]]] = []

            def post(
                number: int, body: bytes = body, packed: bytes = packed, told: list[tuple[int, dict[str, str]]] = told
            ) -> None:
                headers = {"Content-Type": "application/json", "Authorization": f"Bearer {product.key}"}
                wire = Wire(product.url, timeout_s=180)
                is_gzip = number % 2 == 1
                more = {"Content-Encoding": "gzip"} if is_gzip else {}
                for _ in range(3 if scene.quick else 8):
                    status, said, _ = wire.ask("POST", "/v1/traces", packed if is_gzip else body, headers | more)
                    told.append((status, said))
                    if status == 200:
                        break
                    time.sleep(min(5, float(said.get("retry-after", 1) or 1)))
                wire.close()

            threads = [threading.Thread(target=post, args=(n,), daemon=True) for n in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            watch.halt.set()
            watch.join()
            good = sum(status == 200 for status, _ in told)
            wrong = sorted({status for status, _ in told} - {200, 429, 503, 0})
            hung_up = sum(status == 0 for status, _ in told)
            refused = len(told) - good
            size = len(body) / MIB
            scene.say(f"{words}, {size:.0f} MiB: {good} taken, {refused} refused, of these {hung_up} hung up")
            scene.hold(f"{words}: 200, 429 and 503 alone", len(told), [f"answers {wrong}"] if wrong else [])
            scene.hold(f"{words}: some are taken, as often as answered", good, [] if good else ["none was taken"])
            stored = product.stored_spans() - before
            if stored != spans:
                # The same body each time: it is stored once, whoever sent it.
                scene.hold(f"{words}: stored once", spans, [f"{stored} spans are stored"])
            scene.report.add(f"{words}: web, resident at most", watch.rss_mib, "MiB", RSS_BAR_MIB,
                             note=f"PSS {watch.pss_mib:.0f} MiB")  # fmt: skip
            slowest = 1000 * max(watch.health_s, default=float("nan"))
            scene.report.add(f"{words}: /healthz, slowest", slowest, "ms", 1000)
            scene.report.add(f"{words}: plain trace after", storms.recover_s(product, scene.seed + 9), "s", 5)


def second_key(product: Product) -> str:
    """The secret of a key of another project."""
    secret = "tt_sk_" + secrets.token_hex(24)
    words = (
        "provision",
        "--email",
        product.email,
        "--organisation",
        "Other",
        "--project",
        "other",
        "--secret-key",
        secret,
    )
    subprocess.run(
        _product.command(*words), cwd=_product.ROOT, check=True, capture_output=True, timeout=120,
        env=_product.clean_environment({"TELLTALE_HOME": str(product.home), "TELLTALE_DATABASE_URL": product.dsn}),
    )  # fmt: skip
    return secret


@scenario("one-key-floods", "R8")
def one_key_floods(scene: Scene) -> None:
    """One key floods over 64 connections; the plain requests of another project's key are taken all the same"""
    with started() as product:
        other = second_key(product)
        flood = list(storms.many(list(Corpus(scene.seed, 12_000, end_s=time.time()).batches()), 400_000))
        quiet = Product(product.url, other, product.dsn, product.home, None)
        halt = threading.Event()
        told: list[tuple[int, float]] = []

        def plain() -> None:
            wire = Wire(quiet.url, timeout_s=30)
            traces = Corpus(scene.seed + 1, 20_000, end_s=time.time()).small()
            for trace in traces:
                if halt.is_set():
                    break
                began = time.perf_counter()
                body = gzip.compress(trace.body, 1)
                for _ in range(5):
                    status, said, _ = wire.ask("POST", "/v1/traces", body, post_headers(quiet.key))
                    if status not in RETRYABLE:
                        break
                    time.sleep(float(said.get("retry-after", 1)))
                told.append((status, time.perf_counter() - began))
                time.sleep(0.1)

        thread = threading.Thread(target=plain, daemon=True)
        thread.start()
        tally = drive(product.url, product.key, flood, connections=64, parcels_per_s=150, timeout_s=30)
        halt.set()
        thread.join()
        good = sum(status == 200 for status, _ in told)
        scene.say(f"the flood: {dict(sorted(tally.status.items()))}")
        scene.report.add(
            "of the other key: taken, retries included", 100 * good / max(1, len(told)), "%", 99, is_floor=True
        )
        scene.report.add("of the other key: slowest", max((took for _, took in told), default=0), "s", 10)


@scenario("connections-dribble", "R3 R8")
def connections_dribble(scene: Scene) -> None:
    """Connections of one key that send a byte a second or nothing at all, headers and bodies: others are served"""
    with started() as product, ExitStack() as stack:
        wire = Wire(product.url)
        links: list[tuple[socket.socket, bytes]] = []
        # Of another project: who sends slowly may keep its own key waiting, and nobody else's.
        head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {second_key(product)}\r\n".encode()
        body = head + b"Content-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n"
        for number in range(150 if scene.quick else 600):
            link = stack.enter_context(socket.create_connection((wire.host, wire.port), timeout=5))
            # A third sends its headers slowly, a tenth the body, the rest nothing at all.
            slowly = head * 20 if number % 3 == 0 else bytes(100_000) if number % 10 == 1 else b""
            if number % 10 == 1 and number % 3:
                link.sendall(body)
            links.append((link, slowly))
        watch = storms.Watch(product)
        watch.start()
        plain: list[float] = []
        began = time.monotonic()
        at = 0
        while time.monotonic() - began < scene.seconds(15, 45):
            for link, slowly in links:
                if at < len(slowly):
                    try:
                        link.sendall(slowly[at : at + 1])
                    except OSError:
                        continue
            at += 1
            plain.append(storms.recover_s(product, scene.seed + at))
            time.sleep(1)
        watch.halt.set()
        watch.join()
        slowest = 1000 * max(watch.health_s, default=float("nan"))
        scene.report.add("/healthz, slowest", slowest, "ms", 1000)
        scene.report.add("a plain trace, slowest until taken", max(plain), "s", 5)
        scene.report.add("web, resident at most", watch.rss_mib, "MiB", RSS_BAR_MIB)
