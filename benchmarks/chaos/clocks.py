"""The clock jumps: by libfaketime in all processes of the product, PostgreSQL too; the machine's is not touched."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import _product
from benchmarks._client import Wire
from benchmarks._product import Product
from benchmarks.chaos.scene import DATABASE_BAR_S, RECOVERY_BAR_S, Load, Scene, Skip, scenario, wait_for

LIBRARIES = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
HOUR = 3600


class Clock:
    """What time the product believes it is, as an offset in a file that libfaketime reads."""

    def __init__(self, directory: Path) -> None:
        library = next((path for path in LIBRARIES if Path(path).exists()), None)
        if library is None:
            raise Skip("libfaketime is not installed (Debian: faketime)")
        self._file = directory / "offset"
        self.set(0)
        self.environment = {
            "LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self._file), "FAKETIME_CACHE_DURATION": "1",
            # Monotonic time does not jump on a real machine either.
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "0",
        }  # fmt: skip

    def set(self, seconds: int) -> None:
        """Be `seconds` ahead of the machine, or behind it."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{seconds:+d}s\n")
        new.chmod(0o644)
        new.rename(self._file)


@contextmanager
def product_with_clock() -> Iterator[tuple[Product, Clock]]:
    """A product and its own PostgreSQL, all of whose processes believe the clock."""
    from telltale.run.home import prepare_home
    from telltale.run.postgres import Postgres

    parent = Path(tempfile.mkdtemp(prefix="telltale-clock-"))
    parent.chmod(0o755)
    clock = Clock(parent)

    class Faked(Postgres):
        def _environment(self) -> dict[str, str]:
            return super()._environment() | clock.environment

    try:
        home = prepare_home(parent / "database")
        server = Faked(home)
        server.initialise()
        with (parent / "postgres.log").open("ab") as log:
            process = server.start(log)
        try:
            server.make_database()
            with _product.started(
                parent / "product", clock.environment | {"TELLTALE_DATABASE_URL": server.dsn()}
            ) as product:
                yield product, clock
        finally:
            process.terminate()
            process.wait(30)
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def engine(product: Product) -> str:
    """What /readyz says of the worker: "runs" or "stands"."""
    wire = Wire(product.url, timeout_s=5)
    try:
        status, _, body = wire.ask("GET", "/readyz")
        return str(json.loads(body).get("engine")) if status == 200 else ""
    finally:
        wire.close()


def after_jump(scene: Scene, load: Load, words: str, began: float) -> None:
    """Ingest goes on, the worker works, and what came since is booked."""
    product = load.product
    scene.recovered(load, began, bar=RECOVERY_BAR_S, name=f"well again after {words}")
    time.sleep(scene.seconds(12, 40))
    ended = time.monotonic()
    scene.answered(load, began, ended)
    beats = product.one(
        "SELECT count(*) FROM jobs_heartbeat WHERE at BETWEEN now() - interval '30 s' AND now() + interval '5 s'"
    )
    scene.hold(f"the worker shows life after {words}", 1, [] if beats else ["no heartbeat of the last 30 s"])
    runs = wait_for(lambda: engine(product) == "runs", 60)
    scene.report.add(f"engine runs after {words}", runs, "s", DATABASE_BAR_S)
    folded = "SELECT count(*) FROM traces_ingest_batch WHERE accounted"
    before = product.one(folded)
    moves = wait_for(lambda: product.one(folded) > before, 120)
    scene.report.add(f"batches are booked after {words}", moves, "s", RECOVERY_BAR_S)


@scenario("clock-jumps", "R1 R4 R15")
def clock_jumps(scene: Scene) -> None:
    """The clock jumps an hour ahead, back again, an hour behind and a week ahead while everything works"""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    jumps = ((HOUR, "an hour ahead"), (0, "an hour back"), (-HOUR, "an hour more back"))
    if not scene.quick:
        jumps += ((7 * 24 * HOUR, "a week ahead"), (0, "a week back"))
    with product_with_clock() as (product, clock):
        with scene.load(product) as load:
            time.sleep(4)
            for offset, words in jumps:
                clock.set(offset)
                after_jump(scene, load, words, time.monotonic())
            ended = time.monotonic()
        scene.drained(product, ended)
        scene.balance(load)
