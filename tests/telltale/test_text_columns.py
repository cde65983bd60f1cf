"""Of every column that can hold text it is decided whether it is masked: a new one fails here until it is, too."""

from __future__ import annotations

from collections import Counter

import pytest
from django.db import connection

from tests.telltale.text_columns import columns

pytestmark = pytest.mark.django_db
_HELD = """
    SELECT c.relname, a.attname
    FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = current_schema()::regnamespace
        AND t.typname IN ('text', 'varchar', 'bpchar', 'json', 'jsonb', 'bytea', '_text', '_varchar', '_jsonb')
"""


def test_each_column_of_text_is_decided_once():
    with connection.cursor() as cursor:
        cursor.execute(_HELD)
        held = set(cursor.fetchall())
    decided = Counter(columns())

    assert held - set(decided) == set(), "not decided: see tests/telltale/text_columns.py"
    assert set(decided) - held == set(), "decided, and not there any more"
    assert {each for each, n in decided.items() if n > 1} == set()
