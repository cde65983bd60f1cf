"""Datasets: items in, versions out."""

from evals.keeping.changes import (
    DESCRIPTION_MAX,
    ITEM_BYTES_MAX,
    ITEMS_MAX,
    KEY_CHARS_MAX,
    NAME_MAX,
    NOTE_MAX,
    By,
    DatasetRefused,
    change_dataset,
    make_dataset,
    put_items,
    remove_items,
)
from evals.keeping.files import FILE_BYTES_MAX, KINDS, Mapping, kind_of, read_file, split_names
from evals.keeping.sources import TRACES_MAX, items_of_reviews, items_of_traces
from evals.write.datasets import NewItem, Put

__all__ = [
    "DESCRIPTION_MAX",
    "FILE_BYTES_MAX",
    "ITEMS_MAX",
    "ITEM_BYTES_MAX",
    "KEY_CHARS_MAX",
    "KINDS",
    "NAME_MAX",
    "NOTE_MAX",
    "TRACES_MAX",
    "By",
    "DatasetRefused",
    "Mapping",
    "NewItem",
    "Put",
    "change_dataset",
    "items_of_reviews",
    "items_of_traces",
    "kind_of",
    "make_dataset",
    "put_items",
    "read_file",
    "remove_items",
    "split_names",
]
