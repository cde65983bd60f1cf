"""The worker process: Celery with threads, all queues, and the settings that keep it small.

`celery -A telltale worker` is the same with Celery's own defaults.
"""

from __future__ import annotations

import os
import sys

from telltale.run.home import RunError
from telltale.run.safety import refuse_unsafe_settings

NICE = 5


def main() -> int:
    """Run until SIGTERM; the exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    # The checks of Django are those of deploying: they import every page, which a worker never serves.
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
    try:
        refuse_unsafe_settings()
    except RunError as error:
        print(f"The worker does not start. {error}", file=sys.stderr)
        return 1
    # Where processors are short, those who send and read go first; a third of a full share is left, so work goes on.
    os.nice(NICE)
    from telltale.celery import app

    app.worker_main(
        [
            "worker",
            "--pool=threads",
            f"--concurrency={os.environ.get('TELLTALE_WORKER_THREADS', '').strip() or 4}",
            "--loglevel=INFO",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
        ]
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
