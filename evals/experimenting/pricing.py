"""What a token of a model costs where an experiment calls it: by the connection, else by the project's price book."""

from __future__ import annotations

from evals.models import Connection
from telltale.lib import clock
from traces.canonical.types import BUCKETS
from traces.prices import load_book

_INPUT, _OUTPUT = BUCKETS.index("input_fresh"), BUCKETS.index("output_text")


def prices_of(project_id: int, connection: Connection, model: str) -> tuple[int, int] | None:
    """Pico-dollars a token of input and of output; None where nobody names a price for both."""
    if connection.input_pico is not None and connection.output_pico is not None:
        return connection.input_pico, connection.output_pico
    now_us = int(clock.now().timestamp() * 1_000_000)
    match = load_book(project_id).match(connection.kind, None, model, now_us)
    if match is None:
        return None
    rates = match.row.rates
    told = rates[_INPUT], rates[_OUTPUT]
    return None if told[0] is None or told[1] is None else (told[0], told[1])
