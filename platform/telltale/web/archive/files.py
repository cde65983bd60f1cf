"""Where the files of an archive go: a directory, or rows of the database that a page streams as one tar file."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from telltale.web.models import Archive, ArchiveChunk
from traces.pages.export import cell

CHUNK = 1024 * 1024
# A temporary file larger than this lies on disk.
IN_MEMORY = 4 * 1024 * 1024


class Part:
    """One file while it is written: gzip of lines, counted and hashed on the way."""

    def __init__(self, name: str) -> None:
        self.name, self.rows, self.cost_pico = name, 0, 0
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        # Without a time of writing: the same rows make the same file.
        self._gzip = gzip.GzipFile(fileobj=self._file, mode="wb", compresslevel=5, mtime=0, filename="")

    def add(self, line: bytes, cost_pico: str | None) -> None:
        """Write one line, and add its cost to the sum."""
        self._gzip.write(line)
        self._gzip.write(b"\n")
        self.rows += 1
        if cost_pico is not None:
            self.cost_pico += int(cost_pico)

    def add_cells(self, cells: list[Any]) -> None:
        """Write one line of CSV."""
        out = io.StringIO()
        csv.writer(out).writerow(cells)
        self._gzip.write(out.getvalue().encode())

    def keep(self, archive: Archive) -> dict[str, Any]:
        """End the file and put it where the archive's files go; its line of the manifest."""
        self._gzip.close()
        size = self._file.tell()
        self._file.seek(0)
        digest = hashlib.sha256()
        if archive.directory:
            self._keep_file(Path(archive.directory), digest)
        else:
            # A part of an attempt that died is written again.
            ArchiveChunk.objects.filter(archive=archive, name=self.name).delete()
            for number, data in enumerate(iter(lambda: self._file.read(CHUNK), b"")):
                digest.update(data)
                ArchiveChunk.objects.create(archive=archive, name=self.name, number=number, data=data)
        self._file.close()
        told: dict[str, Any] = {"name": self.name, "rows": self.rows, "bytes": size, "sha256": digest.hexdigest()}
        return told | ({"cost_pico": str(self.cost_pico)} if self.cost_pico else {})

    def _keep_file(self, directory: Path, digest: Any) -> None:
        partial = directory / f".{self.name}.partial"
        with open(partial, "wb") as out:
            for data in iter(lambda: self._file.read(CHUNK), b""):
                digest.update(data)
                out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, directory / self.name)


def write_small(archive: Archive, name: str, data: bytes) -> None:
    """Put a small file beside the parts."""
    if archive.directory:
        path = Path(archive.directory) / name
        partial = path.with_name(f".{name}.partial")
        partial.write_bytes(data)
        os.replace(partial, path)
        return
    ArchiveChunk.objects.filter(archive=archive, name=name).delete()
    ArchiveChunk.objects.create(archive=archive, name=name, number=0, data=data)


def csv_cells(line: bytes, columns: list[str]) -> list[Any]:
    """The values of a row as cells: what a spreadsheet would compute gets an apostrophe, lists and maps are JSON."""
    row = orjson.loads(line)
    return [cell(_flat(row.get(name))) for name in columns]


def _flat(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, list | dict) else value


def as_tar(archive: Archive) -> Iterator[bytes]:
    """The chunks of an archive as one tar file, the manifest first. Reads one chunk at a time."""
    manifest = archive.manifest or {}
    sizes = {part["name"]: int(part["bytes"]) for part in manifest.get("parts", ())}
    yield from _tar_file(archive, "manifest.json", len(orjson.dumps(manifest, option=orjson.OPT_INDENT_2)))
    for name, size in sizes.items():
        yield from _tar_file(archive, name, size)
    yield b"\0" * 1024


def _tar_file(archive: Archive, name: str, size: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(f"telltale-{archive.pk}/{name}")
    info.size = size
    info.mtime = int(archive.created_at.timestamp())
    yield info.tobuf(tarfile.PAX_FORMAT)
    rows = ArchiveChunk.objects.filter(archive=archive, name=name)
    for number in rows.order_by("number").values_list("number", flat=True):
        yield bytes(rows.values_list("data", flat=True).get(number=number))
    yield b"\0" * (-size % 512)
