"""What was repaired or cut while a span was read."""

from __future__ import annotations


class Notes:
    """What was repaired or cut in one span while its values were read."""

    __slots__ = ("attributes_cut", "cut", "repaired")

    def __init__(self) -> None:
        self.repaired = False
        self.attributes_cut = False
        self.cut: dict[str, int] | None = None

    def note_cut(self, key: str, size: int) -> None:
        """Remember the original size of what was cut under `key`."""
        if self.cut is None:
            self.cut = {}
        self.cut[key] = size
