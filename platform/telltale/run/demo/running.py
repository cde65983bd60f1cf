"""`telltale run --demo`: the product in the foreground; beside it a stand-in for a model, and who fills the project."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

from telltale.run.account import can_run_code
from telltale.run.child import die_with_parent
from telltale.run.home import ROOT
from telltale.run.stand_in import HOST
from telltale.run.supervisor import Say, Supervisor

STOP_SECONDS = 2.0
ADDRESS_FILE = "stand-in.address"


def run_with_demo(say: Say) -> int:
    """Run until told to stop; the exit code. The filling begins when the product is ready and ends with it."""
    # Judges call the stand-in at this address; whoever wants other networks says so in the environment.
    os.environ.setdefault("TELLTALE_EGRESS_ALLOW", f"{HOST}/32")
    supervisor = Supervisor(say)
    started: list[subprocess.Popen[bytes]] = []
    supervisor.on_ready = lambda: started.extend(_start_both(supervisor))
    try:
        return supervisor.run()
    finally:
        for process in started:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            process.kill()


def _start_both(supervisor: Supervisor) -> list[subprocess.Popen[bytes]]:
    supervisor.say("Filling the demo project in the background; it can be looked at meanwhile.")
    address = supervisor.home.run / ADDRESS_FILE
    if address.exists():
        # So that nobody takes the last run's address for this one's; the stand-in asks for the same port again.
        os.replace(address, address.with_suffix(".before"))
    supervisor.say("A stand-in for a model judges the demo: a small local program, no model and no key.")
    stand_in = _start(supervisor, ["stand-in", "--address-file", str(address)])
    return [stand_in, _start(supervisor, ["demo", "--stand-in-file", str(address)])]


def _start(supervisor: Supervisor, command: list[str]) -> subprocess.Popen[bytes]:
    account = supervisor.home.account
    drop = account.popen_arguments() if account and can_run_code(account, sys.executable, ROOT) else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "telltale.run.cli", *command],
        cwd="/",
        env=supervisor.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL if command[0] == "stand-in" else None,
        start_new_session=True,
        preexec_fn=die_with_parent(signal.SIGTERM),
        **drop,
    )
    # Nobody else asks how it ended: without this it would stay as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()
    return process
