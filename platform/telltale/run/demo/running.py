"""`telltale run --demo`: the product in the foreground, and beside it a process that fills the demo project."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading

from telltale.run.account import can_run_code
from telltale.run.child import die_with_parent
from telltale.run.home import ROOT
from telltale.run.supervisor import Say, Supervisor

STOP_SECONDS = 2.0


def run_with_demo(say: Say) -> int:
    """Run until told to stop; the exit code. The filling begins when the product is ready and ends with it."""
    supervisor = Supervisor(say)
    started: list[subprocess.Popen[bytes]] = []
    supervisor.on_ready = lambda: started.append(_start_filling(supervisor))
    try:
        return supervisor.run()
    finally:
        for process in started:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


def _start_filling(supervisor: Supervisor) -> subprocess.Popen[bytes]:
    supervisor.say("Filling the demo project in the background; it can be looked at meanwhile.")
    account = supervisor.home.account
    drop = account.popen_arguments() if account and can_run_code(account, sys.executable, ROOT) else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "telltale.run.cli", "demo"],
        cwd="/",
        env=supervisor.environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),
        **drop,
    )
    # Nobody else asks how it ended: without this it would stay as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process
