"""The disk: full, and slow. Both need root; elsewhere they are skipped and say so."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks._product import Product
from benchmarks.chaos.scene import Load, Scene, Skip, scenario, started, tree, wait_for

SIZE_MIB = 900
BLKIO = Path("/sys/fs/cgroup/blkio")
SLOW_BYTES_S = 256 * 1024
SLOW_WRITES_S = 20


@contextmanager
def small_disk() -> Iterator[Path]:
    """A file system of its own, SIZE_MIB large, in memory."""
    if os.geteuid() != 0:
        raise Skip("mounting a small file system needs root")
    place = Path(tempfile.mkdtemp(prefix="telltale-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=755", "telltale-chaos", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        place.rmdir()
        raise Skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        for _ in range(20):
            if not subprocess.run(["umount", str(place)], capture_output=True, check=False).returncode:
                break
            time.sleep(0.5)
        shutil.rmtree(place, ignore_errors=True)


def fill(place: Path, leave: int = 0) -> Path:
    """A file that takes all space but `leave` bytes."""
    path = place / "filler"
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            free = shutil.disk_usage(place).free - leave
            if free <= 0:
                break
            file.write(bytes(min(free, 1 << 20)))
    return path


def look_at_pages(scene: Scene, product: Product, when: str) -> None:
    """Pages that read must open whatever the disk does."""
    wrong = []
    browser = _signed_in[product.url]
    paths = [f"/p/{product.project}/", f"/p/{product.project}/traces/", f"/p/{product.project}/settings/"]
    for path in paths:
        status, _, _ = browser.ask("GET", path)
        if status != 200:
            wrong.append(f"{path} answered {status}")
    scene.hold(f"pages open {when}", len(paths), wrong)


_signed_in = {}


@scenario("disk-full", "R1 R3 R10")
def disk_full(scene: Scene) -> None:
    """The disk below the home is filled to the last byte under load, stays full, and gets its space back"""
    with small_disk() as place, started(keep=place / "it") as product:
        _signed_in[product.url] = product.browser()
        with scene.load(product) as load:
            time.sleep(4)
            began = time.monotonic()
            filler = fill(place)
            for _ in range(int(scene.seconds(5, 15))):
                time.sleep(2)
                fill(place)  # what the database freed itself
            look_at_pages(scene, product, "while it is full")
            _says_so(scene, product)
            ended = time.monotonic()
            filler.unlink()
            scene.recovered(load, ended)
            look_at_pages(scene, product, "afterwards")
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


def _says_so(scene: Scene, product: Product) -> None:
    """A page says that the disk is full."""
    _, _, page = _signed_in[product.url].ask("GET", f"/p/{product.project}/settings/")
    scene.hold("a page says that the disk is full", 1, [] if b"The disk is nearly full" in page else ["no page does"])


@contextmanager
def slow(place: Path, pids: list[int]) -> Iterator[None]:
    """These processes write slowly to the disk that holds `place`, while the block runs."""
    if os.geteuid() != 0 or not (BLKIO / "blkio.throttle.write_bps_device").exists():
        raise Skip("slowing a disk down needs root and the blkio controller (cgroup 1)")
    device = os.stat(place).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    group = BLKIO / f"telltale-chaos-{os.getpid()}"
    group.mkdir()
    try:
        try:
            (group / "blkio.throttle.write_bps_device").write_text(f"{number} {SLOW_BYTES_S}")
            (group / "blkio.throttle.write_iops_device").write_text(f"{number} {SLOW_WRITES_S}")
        except OSError as error:
            raise Skip(f"writes to device {number} cannot be slowed down: {error.strerror}") from None
        for pid in pids:
            with contextlib.suppress(OSError):
                (group / "cgroup.procs").write_text(str(pid))
        yield
    finally:
        for _ in range(50):
            for pid in (group / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):
                    (BLKIO / "cgroup.procs").write_text(pid)
            with contextlib.suppress(OSError):
                group.rmdir()
                break
            time.sleep(0.1)


@scenario("disk-slow", "R8 R10")
def disk_slow(scene: Scene) -> None:
    """PostgreSQL writes 256 KiB and 20 times a second at most (blkio): fewer requests are taken, none is lost"""
    # Not in memory, where nothing is slow.
    parent = Path(tempfile.mkdtemp(prefix="telltale-slow-", dir="/var/tmp"))
    try:
        with started(keep=parent) as product:
            with scene.load(product) as load:
                time.sleep(4)
                since = time.monotonic()
                quick = _commits(load, since - 4, since)
                with slow(parent, tree(product, "postgres")):
                    began = time.monotonic()
                    time.sleep(scene.seconds(15, 60))
                    ended = time.monotonic()
                scene.say(f"taken a second: {quick:.1f} before, {_commits(load, began, ended):.1f} while it was slow")
                scene.recovered(load, ended)
            scene.answered(load, began, ended)
            scene.drained(product, ended)
            scene.balance(load)
    finally:
        wait_for(lambda: shutil.rmtree(parent, ignore_errors=True) or not parent.exists(), 5)


def _commits(load: Load, since: float, until: float) -> float:
    return sum(answer.status == 200 for answer in load.steady.between(since, until)) / max(0.1, until - since)
