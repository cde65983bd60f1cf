"""`telltale second-factor remove EMAIL`: let somebody in who lost their second factor and its recovery codes."""

from __future__ import annotations

import argparse
from typing import TextIO

from telltale.accounts.lost import remove_second_factor
from telltale.accounts.models import User

ACTOR = "telltale second-factor remove"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is to be done, and whose it is."""
    parser.add_argument("act", choices=["remove"], help="remove the codes of an app and all recovery codes")
    parser.add_argument("email", help="the address the person signs in with; make sure first that it is them who ask")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print what went; exit code 1 where nobody has the address."""
    user = User.objects.filter(email__iexact=options.email.strip()).first()
    if user is None:
        print(f"Nobody signs in as {options.email}.", file=out)
        return 1
    if not remove_second_factor(user, ACTOR):
        print(f"{user.email} has no second factor.", file=out)
        return 0
    print(f"The second factor of {user.email} is removed, their sessions ended: a password lets them in.", file=out)
    return 0
