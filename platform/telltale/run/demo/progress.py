"""How far a long piece of work is: one line drawn anew at a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import time
from typing import TextIO

BAR_CHARS = 28
AT_TERMINAL_SECONDS = 0.1
ELSEWHERE_SECONDS = 5.0


class Progress:
    """Tells `out` about `unit` done, of a total that is known about."""

    def __init__(self, out: TextIO, label: str, unit: str, total: int) -> None:
        self.out = out
        self.label = label
        self.unit = unit
        self.total = max(total, 1)
        self.is_terminal = out.isatty()
        self.began_at = time.monotonic()
        self.told_at = self.began_at

    def tell(self, done: int) -> None:
        """Say how many are done, if it is time to say something."""
        now = time.monotonic()
        if now - self.told_at < (AT_TERMINAL_SECONDS if self.is_terminal else ELSEWHERE_SECONDS):
            return
        self.told_at = now
        self._write(min(done / self.total, 0.99), done)

    def end(self, done: int) -> None:
        """Say that it is finished."""
        self._write(1.0, done)
        if self.is_terminal:
            print(file=self.out, flush=True)

    def _write(self, share: float, done: int) -> None:
        seconds = time.monotonic() - self.began_at
        if self.is_terminal:
            full = round(share * BAR_CHARS)
            bar = "█" * full + "░" * (BAR_CHARS - full)
            text = f"\r{self.label} {bar} {share:4.0%}  {done:,} {self.unit}, {seconds:.0f} s "
            print(text, end="", file=self.out, flush=True)
        else:
            print(f"{self.label}: {done:,} {self.unit} ({share:.0%}) after {seconds:.0f} s", file=self.out, flush=True)
