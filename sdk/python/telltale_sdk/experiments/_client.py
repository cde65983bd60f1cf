"""Telltale's addresses of datasets and experiments, by the standard library alone.

Errors are raised, not swallowed: an experiment is no part of an application's request, and its author reads them.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from telltale_sdk._config import from_environment, read_endpoint
from telltale_sdk._pipeline import read_pause
from telltale_sdk._version import VERSION

TIMEOUT_SECONDS = 30.0
TRIES = 5
PAUSE_SECONDS = 0.5
PAUSE_MAX_SECONDS = 30.0
LOOK_SECONDS = 1.0
# Below the server's limits of 500 results and 8 MiB a request.
BATCH_RESULTS = 100
BATCH_BYTES = 4 * 1024 * 1024
ANSWER_BYTES = 64 * 1024 * 1024
OVER = ("done", "failed", "cancelled")


class ExperimentError(Exception):
    """Telltale refused, or could not be reached; the text says what and why. `status` is 0 where nothing answered."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Item:
    """One item of a dataset: what to answer, and what is expected where that is known."""

    key: str
    input: Any
    expected: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One measure, new against old, over `n` items that both answered. None is not known.

    `verdict` is better, worse, cannot_tell or too_little; `low` and `high` are the 95 % interval of the difference.
    `decides`: whether a worse verdict is a regression.
    """

    measure: str
    title: str
    verdict: str
    decides: bool
    n: int
    new: float | None
    old: float | None
    difference: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Comparison:
    """Two experiments over the same items. `regressions` are the measures that are proven worse."""

    new: str
    old: str
    is_final: bool
    regressions: tuple[str, ...]
    lines: tuple[Line, ...]
    pairs: int
    raw: Mapping[str, Any] = field(repr=False)


class Client:
    """Speaks to one project of a Telltale, by a key with the scopes read and write."""

    def __init__(
        self, endpoint: str | None = None, api_key: str | None = None, *, timeout_s: float = TIMEOUT_SECONDS
    ) -> None:
        address = read_endpoint(endpoint)
        if address is None:
            raise ExperimentError("the endpoint is no address (http://host:port)")
        self.endpoint = address.rstrip("/").removesuffix("/v1/traces")
        self._key = from_environment("TELLTALE_API_KEY", api_key) or ""
        if not self._key:
            raise ExperimentError("no key: give api_key, or set TELLTALE_API_KEY")
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(_NoRedirect)

    def items(self, dataset: str, version: int | None = None) -> tuple[int, list[Item]]:
        """The version asked for, or the newest, and its items."""
        found: list[Item] = []
        after: str | None = ""
        while after is not None:
            query: dict[str, Any] = {"limit": 500, "after": after}
            if version is not None:
                query["version"] = version
            page = self.ask("GET", f"datasets/{quote(dataset, safe='')}/items?{urlencode(query)}")
            # What is added meanwhile is a later version's.
            version, after = page["version"], page["next"]
            found += [Item(one["key"], one["input"], one["expected"], one["metadata"]) for one in page["items"]]
        assert version is not None  # noqa: S101 - the first page told it
        return version, found

    def put_items(self, dataset: str, items: Sequence[Mapping[str, Any]], note: str = "") -> int:
        """Add items (`input`, and as known `key`, `expected`, `metadata`) to a dataset; the version that holds them."""
        version = 0
        for start in range(0, len(items), 500):
            body = {"items": [dict(item) for item in items[start : start + 500]], "note": note}
            version = self.ask("POST", f"datasets/{quote(dataset, safe='')}/items", body)["version"]
        return version

    def make_dataset(self, name: str, description: str = "") -> str:
        """A new dataset; its slug."""
        return str(self.ask("POST", "datasets", {"name": name, "description": description})["slug"])

    def create(
        self, dataset: str, *, name: str = "", version: int | None = None, judges: Sequence[str] = (),
        metrics: Sequence[str] = (), config: Mapping[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """A new experiment that takes results; its id. A judge is its slug, or slug@version."""
        body: dict[str, Any] = {
            "dataset": dataset,
            "name": name,
            "metrics": list(metrics),
            "config": dict(config or {}),
        }
        body["judges"] = [_judge(each) for each in judges]
        if version is not None:
            body["version"] = version
        return str(self.ask("POST", "experiments", body)["id"])

    def post(self, experiment: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
        """Send results; what was refused of them, in words. Sent again they replace themselves."""
        refused: list[str] = []
        for batch in _batches(results):
            told = self.ask("POST", f"experiments/{experiment}/results", {"results": batch})
            refused += [f"{one['item_key'] or one['index']}: {one['message']}" for one in told["refused"]]
        return refused

    def finish(self, experiment: str) -> None:
        """No more results come: have them measured and judged."""
        self.ask("POST", f"experiments/{experiment}/finish", {})

    def cancel(self, experiment: str) -> None:
        """Stop an experiment."""
        self.ask("POST", f"experiments/{experiment}/cancel", {})

    def get(self, experiment: str) -> dict[str, Any]:
        """An experiment as the REST API tells it."""
        found: dict[str, Any] = self.ask("GET", f"experiments/{experiment}")
        return found

    def wait(self, experiment: str, seconds: float) -> dict[str, Any]:
        """The experiment once it is over; ExperimentError where it is not within `seconds`."""
        until = time.monotonic() + seconds
        while True:
            found = self.get(experiment)
            if found["state"] in OVER:
                return found
            if time.monotonic() >= until:
                raise ExperimentError(f"experiment {experiment} is still {found['state']} after {seconds:g} s")
            time.sleep(LOOK_SECONDS)

    def find(self, reference: str, dataset: str = "", *, but: str = "") -> str:
        """The id that `reference` means: an id itself, or the newest done experiment of that name other than `but`."""
        if reference.isascii() and reference.isdigit():
            return reference
        query = {"name": reference, "limit": 50} | ({"dataset": dataset} if dataset else {})
        for found in self.ask("GET", f"experiments?{urlencode(query)}")["items"]:
            if found["state"] == "done" and found["id"] != but:
                return str(found["id"])
        raise ExperimentError(f"there is no done experiment called {reference!r}")

    def compare(self, new: str, old: str, *, on: Sequence[str] = (), margin: float = 0.0) -> Comparison:
        """New against old. `on` keeps to these measures; differences up to `margin` are none."""
        query = [("against", old), *(("on", key) for key in on), *([("margin", str(margin))] if margin else [])]
        raw = self.ask("GET", f"experiments/{new}/comparison?{urlencode(query)}")
        names = Line.__dataclass_fields__
        lines = tuple(Line(**{name: line[name] for name in names}) for line in raw["lines"])
        return Comparison(raw["new"], raw["old"], raw["is_final"], tuple(raw["regressions"]), lines, raw["pairs"], raw)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of an address below /api/v1/; ExperimentError. What is busy or away is asked again for a while."""
        data = None if body is None else json.dumps(body, ensure_ascii=False, default=str).encode("utf-8", "replace")
        pause = PAUSE_SECONDS
        for left in range(TRIES - 1, -1, -1):
            status, answer, asked = self._once(method, path, data)
            if 200 <= status < 300:
                return json.loads(answer) if answer else None
            # A new experiment is asked for again only where it cannot have been made.
            is_safe = status in (429, 503) or (status == 0 and (method == "GET" or not path.startswith("experiments")
                                                                or "/" in path))  # fmt: skip
            if not left or not is_safe:
                raise ExperimentError(_words(status, answer, self.endpoint), status)
            time.sleep(min(max(pause, asked), PAUSE_MAX_SECONDS))
            pause *= 2
        raise AssertionError("unreachable: the last try returns or raises")

    def _once(self, method: str, path: str, data: bytes | None) -> tuple[int, bytes, float]:
        request = urllib.request.Request(  # noqa: S310 - the endpoint was checked to be http or https
            f"{self.endpoint}/api/v1/{path}",
            data=data,
            method=method,
            headers={
                "Authorization": f"Bearer {self._key}",
                "Content-Type": "application/json",
                "User-Agent": f"telltale-sdk-python/{VERSION}",
            },
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as response:
                return response.status, response.read(ANSWER_BYTES), 0.0
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(64 * 1024), read_pause(error.headers.get("Retry-After"))
        except (OSError, ValueError) as error:
            return 0, str(getattr(error, "reason", error)).encode(), 0.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to the address that it was given for, and nowhere else."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


def _judge(text: str) -> dict[str, Any]:
    slug, at, number = text.partition("@")
    if not at:
        return {"judge": slug}
    if not number.removeprefix("v").isdigit():
        raise ExperimentError(f"a judge is slug or slug@version, not {text!r}")
    return {"judge": slug, "version": int(number.removeprefix("v"))}


def _batches(results: Sequence[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    batch: list[Mapping[str, Any]] = []
    size = 0
    for result in results:
        length = len(json.dumps(result, ensure_ascii=False, default=str).encode("utf-8", "replace"))
        if batch and (len(batch) >= BATCH_RESULTS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(result)
        size += length
    if batch:
        yield batch


def _words(status: int, answer: bytes, endpoint: str) -> str:
    if not status:
        return f"Telltale at {endpoint.rpartition('@')[2]} cannot be reached: {answer.decode(errors='replace')[:200]}"
    try:
        told = json.loads(answer)["detail"]
    except (ValueError, KeyError, TypeError):
        told = "no words came with it"
    return f"Telltale answered {status}: {told}"
