"""What gunicorn itself says, in lines like all others: its own form prints addresses and the texts of exceptions."""

from __future__ import annotations

from typing import Any

from gunicorn import glogging

from telltale.lib.logs import LineFormatter


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's logger with our lines."""

    def setup(self, cfg: Any) -> None:
        """As gunicorn does it, then with our form."""
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(LineFormatter())
