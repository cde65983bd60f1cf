"""Expressions compute, stop in time, and reach nothing."""

from __future__ import annotations

import ast
import string
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from evals.judges.expression import _ALLOWED, _NODES, NAMES, BadExpression, compile_expression
from evals.judges.expression_values import FUNCTIONS, METHODS, ExpressionFailed
from evals.judges.material import Document, Material
from evals.judges.trace_checks import values_of

MATERIAL = Material(
    question="Where is it?",
    answer='Total: {"sum": 30, "items": ["a", "b"]}',
    documents=(Document("d1", "first", 0.3, 1), Document("d2", "second", 0.9, 2)),
    metadata={"plan": "pro", "deep": {"level": [1, 2, 3]}},
    duration_ms=1200.0,
    cost_pico=2_500_000_000,
)
VALUES = values_of(MATERIAL)


def run(source, values=VALUES):
    return compile_expression(source).run(values)


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 + 2 * 3 - 4 / 2", 5.0),
        ("7 // 2 + 7 % 4", 6),
        ("-3 + +2", -1),
        ("1 < 2 <= 2 != 3", True),
        ("not answer", False),
        ("answer and 'yes' or 'no'", "yes"),
        ("None or 3", 3),
        ("'short' if len(answer) < 10 else 'long'", "long"),
        ("'Total' in answer", True),
        ("'x' not in ['a', 'b']", True),
        ("ttft_ms is None", True),
        ("duration_ms is not None and duration_ms <= 2000", True),
        ("json(answer[7:])['sum'] == 30", True),
        ("len(json(answer[7:])['items'])", 2),
        ("max([d['score'] for d in documents])", 0.9),
        ("sum(1 for d in documents if d['score'] > 0.5 and d['text'])", 1),
        ("[d['id'] + c for d in documents for c in 'xy']", ["d1x", "d1y", "d2x", "d2y"]),
        ("all([d['score'] for d in documents]) and any([0, 1])", True),
        ("metadata['plan'] == 'pro' and metadata.get('none') is None", True),
        ("metadata['deep']['level'][-1] + metadata['deep']['level'][0:2][1]", 5),
        ("metadata.keys()", ["plan", "deep"]),
        ("answer.lower().count('a')", 2),
        ("answer.startswith('Total') and answer.strip().endswith('}')", True),
        ("'-'.join(sorted(words('b a')))", "a-b"),
        ("question.replace('it', 'she').split(' ')", ["Where", "is", "she?"]),
        ("matches('[Tt]otal: *[{]', answer)", True),
        ("round(cost_usd * 1000, 1)", 2.5),
        ("int('12') + float('0.5') + abs(-1)", 13.5),
        ("str(3) + str(True) + str(None)", "3TrueNone"),
        ("{'a': 1}['a'] + len({'b': 2})", 2),
        ("(1, 2)[1]", 2),
        ("min(3, 1, 2) + max(1, 5)", 6),
        ("[w for w in [w for w in ['a', 'b']] if w == 'b']", ["b"]),
        ("bool(documents)", True),
        (" \n 1 + 1 ", 2),
    ],
)
def test_expression_computes(source, value):
    assert run(source) == value


ESCAPES = [
    "__import__('os').system('id')", "().__class__.__bases__[0].__subclasses__()", "answer.__class__",
    "answer.format(1)",
    "'{0.__class__}'.format(answer)", "f'{answer.__class__}'", "eval('1')", "exec('1')", "open('/etc/passwd').read()",
    "compile('1', '', 'eval')", "globals()", "locals()", "vars()", "dir()", "getattr(answer, 'upper')", "type(answer)",
    "object()", "(lambda: 1)()", "lambda: 1", "(x := 1)", "[x := 1]", "{**metadata}", "len(*[answer])", "str(object=1)",
    "[c for c in ().__class__.__mro__]", "{c for c in answer}", "{c: c for c in answer}", "2 ** 9 ** 9", "1 << 99",
    "~1", "1 | 2", "answer @ answer", "b'x'", "1j", "...", "1e999", "99999999999999999999", "yield 1", "await x",
    "[x async for x in y]", "import os", "x = 1", "del answer", "print(answer)", "__builtins__", "_Run", "self.names",
    "answer.encode()", "answer.translate({})", "answer.maketrans('a', 'b')", "answer.join.__self__", "len.__self__",
    "metadata.update({})", "metadata.pop('plan')", "documents.append(1)", "documents.sort()", "[1].__len__()",
    "documents[0].__dict__", "answer.upper", "len", "matches", "json", "[len for len in documents]",
    "[answer for answer in documents]", "[_ for _ in documents]", "[(a, b) for a, b in documents]", "answer[0]()",
    "[len][0](answer)", "(len)(answer)(answer)", "answer if True", "'a' 1", "", " ", "\x00", "1; 2", "#", "answer\\",
    "input()", "breakpoint()", "help()", "exit()", "super().x", "range(9)", "map(str, [1])", "iter([1])", "id(answer)",
    "{'a': 1, **{}}", "*documents", "answer.__getattribute__('x')", "nonlocal x",
]  # fmt: skip


@pytest.mark.parametrize("source", ESCAPES)
def test_what_is_not_listed_is_refused_before_it_runs(source):
    with pytest.raises(BadExpression):
        compile_expression(source)


BOMBS = [
    "[[[[1 for a in answer] for b in answer] for c in answer] for d in answer]",
    "sum([1 for a in long for b in long for c in long])",
    "[a for a in long for b in long]",
    "long + long + long + long + long",
    "[long + long for a in long]",
    "[long.lower() for a in long]",
    "[long.replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') for a in long]",
    "long.replace('', long)",
    "long.join([long, long, long])",
    "[long.split('a') for a in long]",
    "words(long.replace('a', 'a '))",
    "[matches('(a|aa)+$', long) for a in long]",
    "[long in long for a in long]",
    "[long == long for a in long]",
    "[sorted(words(spaced)) for a in long]",
    "[json(nested) for a in long]",
    "[lists == lists for a in long]",
]


@pytest.mark.parametrize("source", BOMBS)
def test_work_is_bounded(source, monkeypatch):
    values = {"long": "a" * 500_000, "spaced": "a " * 4_000, "nested": "[" * 900 + "]" * 900, "lists": [[1] * 1000] * 9}
    values["answer"] = "a" * 500
    monkeypatch.setattr("evals.judges.expression.NAMES", (*NAMES, *values))
    expression = compile_expression.__wrapped__(source)

    began = time.process_time()
    with pytest.raises(ExpressionFailed):
        expression.run(values)

    assert time.process_time() - began < 2


@pytest.mark.parametrize(
    "source",
    [
        "1 / 0", "1 % 0", "answer + 1", "answer * 3", "[1] * 3", "'%s' % answer", "ttft_ms < 5", "documents[99]",
        "metadata['none']", "answer['x']", "documents['x']", "answer[1.5]", "int('x')", "int('9' * 3)", "json(answer)",
        "float('nan')", "float('inf')", "1e15 * 1e15", "'a' < 1", "len(3)", "len()", "len(answer, answer)", "min([])",
        "sum(answer)", "answer.count(1)", "documents.get('a')", "answer.get('a')", "''.join([1])", "answer.split('')",
        "matches('(', answer)", "matches('(?=a)', answer)", "{1: 2}", "round(1.5, 99)", "1 in 2", "None in answer",
        "answer[::0]", "[x for x in 5]", "sorted([1, 'a'])", "str(documents)", "metadata[0]", "round(answer)",
        "-answer",
    ],
)  # fmt: skip
def test_what_cannot_be_done_fails_in_words_of_ours(source):
    with pytest.raises(ExpressionFailed) as failed:
        run(source)

    assert str(failed.value)
    assert "Total" not in str(failed.value)


@pytest.mark.parametrize(
    "source",
    [
        "1" + " + 1" * 300,
        "[" * 60 + "]" * 60,
        "not " * 300 + "1",
        "x" * 2001,
        "-" * 500 + "1",
        "(" * 150 + "1" + ")" * 150 + "+",
    ],
)
def test_size_is_bounded(source):
    with pytest.raises(BadExpression):
        compile_expression(source)


def test_running_does_not_change_the_material():
    run("[d for d in documents]")

    assert values_of(MATERIAL) == VALUES


ATOMS = st.sampled_from([*NAMES, "1", "0", "'a'", "None", "True", "x", "0.5", "''", "[]", "{}"])


def grown(inner):
    pair = st.tuples(inner, inner)
    operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "<", "<=", "==", "!=", "in", "is", "and", "or", "**"])
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        pair.map(lambda t: f"[{t[0]} for x in {t[1]}]"),
        pair.map(lambda t: f"({t[0]})[{t[1]}]"),
        pair.map(lambda t: f"({t[0]})[:{t[1]}]"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda t: f"{t[0]}({t[1]})"),
        st.tuples(inner, st.sampled_from([*METHODS, "__class__", "format", "mro"]), inner).map(
            lambda t: f"({t[0]}).{t[1]}({t[2]})"
        ),
        inner.map(lambda t: f"{{'a': {t}}}"),
    )


@settings(max_examples=400, deadline=None)
@given(st.recursive(ATOMS, grown, max_leaves=12))
@example("answer.__class__")
def test_any_expression_gives_plain_values_or_is_refused(source):
    try:
        value = run(source)
    except (BadExpression, ExpressionFailed):
        value = None

    check_plain(value)


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=string.printable + "é\u200b", max_size=60))
def test_any_text_is_an_expression_or_is_refused(source):
    try:
        value = run(source)
    except (BadExpression, ExpressionFailed):
        value = None

    check_plain(value)


def check_plain(value):
    assert value is None or type(value) in (bool, int, float, str, list, dict)
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        check_plain(each)


def test_every_allowed_node_can_be_run():
    expressions = {node for node in _ALLOWED if issubclass(node, ast.expr)} - {ast.Slice}

    assert expressions | {ast.ListComp, ast.GeneratorExp} == set(_NODES)
