"""The clock jumps, in all processes of the product, PostgreSQL too; the machine's own is not touched."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import _product
from benchmarks._client import Wire
from benchmarks._product import Product
from benchmarks.chaos.scene import RECOVERY_BAR_S, Load, Scene, Skip, scenario, wait_for

HOUR = 3600
PAUSE_S = 12.0
# Between a process and its C library: what is told as the time of day is so many seconds off. Monotonic time is left
# alone, as where a machine's clock is set. (libfaketime breaks Python's sleep, which waits for a monotonic time.)
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *offset;
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("CHAOS_CLOCK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *seen = file < 0 ? MAP_FAILED : mmap(0, sizeof *offset, PROT_READ, MAP_SHARED, file, 0);
    if (seen != MAP_FAILED) offset = seen;
    real = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t id, struct timespec *at) {
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int told = real(id, at);
    if (!told && offset && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) at->tv_sec += *offset;
    return told;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now)) return -1;
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class Clock:
    """What time the product believes it is, as an offset in a file that all its processes see."""

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None or sys.platform != "linux":
            raise Skip("a C compiler is needed to put a clock under the processes (Debian: gcc)")
        self._file, library = directory / "offset", directory / "clock.so"
        self.set(0)
        self._file.chmod(0o644)
        made = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-x", "c", "-", "-o", str(library), "-ldl"],
            input=SHIM, text=True, capture_output=True, check=False,
        )  # fmt: skip
        if made.returncode:
            raise Skip(f"the clock cannot be compiled: {made.stderr[-300:]}")
        library.chmod(0o755)
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """Be `seconds` ahead of the machine, or behind it, from now on."""
        with open(self._file, "r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", seconds))


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
    time.sleep(PAUSE_S)
    ended = time.monotonic()
    scene.answered(load, began, ended)
    beats = "SELECT count(*) FROM jobs_heartbeat WHERE at BETWEEN now() - interval '40 s' AND now() + interval '5 s'"
    lives = wait_for(lambda: product.one(beats) > 0 and engine(product) == "runs", 60)
    took = time.monotonic() - began if lives < float("inf") else lives
    note = "looked at from the end of the pause on"
    scene.report.add(f"worker lives, engine runs after {words}", took, "s", RECOVERY_BAR_S + PAUSE_S, note=note)
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
