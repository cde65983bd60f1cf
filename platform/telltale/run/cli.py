"""The script `telltale`; `python manage.py telltale` is the same."""

from __future__ import annotations

import os
import sys

from telltale.run.commands import run_command
from telltale.run.home import ROOT


def main() -> int:
    """Run one command; the exit code."""
    if str(ROOT) not in sys.path:
        sys.path.insert(1, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    return run_command(sys.argv[1:], sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
