"""`telltale provision`: people, projects and keys as code."""

from __future__ import annotations

import argparse
import json
from typing import TextIO

from telltale.projects.keys import SCOPES
from telltale.run.provision import ProvisionError, Wanted, provision


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; each names something to make or update."""
    parser.add_argument("--email", required=True, help="the owner's e-mail address")
    parser.add_argument("--password", default="", help="their password; kept as it is where this is absent")
    parser.add_argument("--organisation", default="", help="its name; the first one where this is absent")
    parser.add_argument("--project", default="default", help="its name; the address is made from it")
    parser.add_argument("--public-key", default="", help="tt_pk_...; with --secret-key")
    parser.add_argument("--secret-key", default="", help="tt_sk_...; made where none of this name is there")
    parser.add_argument("--scopes", default="", help=f"comma-separated, of {', '.join(SCOPES)}")
    parser.add_argument(
        "--origins",
        default=None,
        help="comma-separated: pages that may send signals with it (https://shop.example); needs --scopes signal",
    )
    parser.add_argument("--operator", action="store_true", help="make the person an operator of the installation")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Print as JSON what is there now. A secret part is printed only where it was made just now."""
    scopes = tuple(part.strip() for part in options.scopes.split(",") if part.strip())
    origins = options.origins
    wanted = Wanted(
        email=options.email,
        password=options.password,
        organisation=options.organisation,
        project=options.project,
        public_key=options.public_key,
        secret_key=options.secret_key,
        scopes=scopes,
        origins=None if origins is None else tuple(part.strip() for part in origins.split(",") if part.strip()),
        is_operator=options.operator,
    )
    try:
        made = provision(wanted)
    except ProvisionError as error:
        print(json.dumps({"error": str(error)}), file=out)
        return 1
    print(json.dumps(made), file=out)
    return 0
