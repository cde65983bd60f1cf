"""CPU and memory of process trees, read from /proc (Linux)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Stat:
    """One line of /proc/PID/stat, what of it is needed."""

    parent: int
    state: str
    own_s: float  # user and system
    reaped_s: float  # the same of children that ended and were waited for


def read_stat(pid: int) -> Stat | None:
    """The process's figures, or None where it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()
    own, reaped = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return Stat(int(fields[1]), fields[0], own / TICKS, reaped / TICKS)


def is_alive(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    stat = read_stat(pid)
    return stat is not None and stat.state != "Z"


def family(roots: Iterable[int]) -> list[int]:
    """The roots that live and all their descendants, each once."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := read_stat(int(entry))):
            children.setdefault(stat.parent, []).append(int(entry))
    found: list[int] = []
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        if pid not in found and read_stat(pid):
            found.append(pid)
            waiting.extend(children.get(pid, ()))
    return found


def cpu_s(roots: Iterable[int]) -> float:
    """CPU seconds that the trees have used so far, those of ended children included."""
    stats = [read_stat(pid) for pid in family(roots)]
    return sum(stat.own_s + stat.reaped_s for stat in stats if stat)


def pss_mib(roots: Iterable[int]) -> float:
    """Proportional set size of the trees: a page shared by n processes counts 1/n in each."""
    return sum(_pss_bytes(pid) for pid in family(roots)) / MIB


def rss_mib(roots: Iterable[int]) -> float:
    """Resident memory of the trees, shared pages counted in each process."""
    return sum(_field_bytes(pid, "status", "VmRSS:") for pid in family(roots)) / MIB


def _pss_bytes(pid: int) -> int:
    return _field_bytes(pid, "smaps_rollup", "Pss:")


def _field_bytes(pid: int, file: str, field: str) -> int:
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def busy_cores(seconds: float = 1.0, without: Iterable[int] = ()) -> float:
    """Cores in use by the whole machine but for the given trees, over `seconds`: how quiet it is."""
    without = list(without)

    def busy() -> float:
        with open("/proc/stat") as file:
            fields = [int(field) for field in file.readline().split()[1:9]]
        return (sum(fields) - fields[3] - fields[4]) / TICKS

    began, own = busy(), cpu_s(without)
    time.sleep(seconds)
    return max(0.0, ((busy() - began) - (cpu_s(without) - own)) / seconds)
