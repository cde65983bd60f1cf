"""What is wrong with one of many things that were sent together, each of which is judged alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an item: which field, what is accepted, what came."""

    field: str
    message: str
    limit: str = ""
    value: Any = None


class ItemRefused(Exception):
    """An item that cannot be kept, with everything that is wrong with it."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("; ".join(f"{fault.field} {fault.message}" for fault in faults))
        self.faults = faults
