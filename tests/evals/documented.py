"""Examples of pages of the documentation, run as they stand: a curl of a page as a request of the test's client."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def commands(name):
    """Every curl in the shell blocks of a page, as its words."""
    text = (DOCS / name).read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ")
    # A quoted body may run over several lines: words are read until the quotes close.
    found, at = [], 0
    pieces = lines.split("\n")
    while at < len(pieces):
        piece = pieces[at]
        while piece.lstrip().startswith("curl"):
            try:
                found.append(shlex.split(piece, comments=False))
                break
            except ValueError:
                at += 1
                piece += "\n" + pieces[at]
        at += 1
    return found


def run(client, words, secret, *, files=None, **names):
    """The answer to one curl; `names` replace what a reader would put in, the key and files are the test's."""
    method, path, data, headers, as_query, file = "", "", [], {}, False, None
    rest = iter(words[1:])
    for word in rest:
        if word in ("-s", "-f", "-sf"):
            continue
        if word in ("-G", "-sG"):
            as_query = True
        elif word in ("-d", "--data", "--data-urlencode"):
            data.append(next(rest))
        elif word == "--data-binary":
            file = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word == "-X":
            method = next(rest)
        elif word == "-o":
            next(rest)
        else:
            path = word
    body = "&".join(data) if as_query else "".join(data)
    for old, new in names.items():
        path, body = path.replace(old, new), body.replace(old, new)
    path = path.removeprefix("$TELLTALE")
    assert headers.pop("Authorization") == "Bearer $KEY", words
    kind = headers.pop("Content-Type", "application/json")
    assert not headers, headers
    sent = {"Authorization": f"Bearer {secret}"}
    if as_query:
        return client.get(f"{path}?{body}", headers=sent)
    if file is not None:
        body = files[file]
    return client.generic(method or ("POST" if body else "GET"), path, body, kind, headers=sent)
