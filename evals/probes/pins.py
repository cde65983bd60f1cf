"""Whether a model's name says which version answers, or lets the provider change it under the same name."""

from __future__ import annotations

import re

# A date (2024-08-06, 20241022, @20240229), a month and day (-0613), a number of its own (-001, v2:0), a digest.
_PINNED = re.compile(
    r"(?:[-@_:]20\d{2}-?\d{2}-?\d{2}(?!\d)|[-@](?:0\d|1[0-2])(?:[0-2]\d|3[01])(?!\d)|-\d{3}(?=\Z|[-@:])|[-:]v\d+:\d+\Z"
    r"|@sha256:[0-9a-f]{8,})"
)


def is_pinned(model: str) -> bool:
    """Whether the name is of one version. "gpt-4o" is not, "gpt-4o-2024-08-06" is; "…-latest" never is."""
    name = model.lower()
    return "latest" not in name and bool(_PINNED.search(name))
