"""Files that are read in one sitting: the lines of a file and of a function, and the parameters of a Cython function.

A function's docstring does not count: it is as long as what callers must know.
"""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "fastnn"  # an installed package has no sources of the kernels
pytestmark = pytest.mark.skipif(not PACKAGE.exists(), reason="a checkout is needed")
FILE, FUNCTION, PARAMETERS = 400, 60, 12

PYTHON = sorted(PACKAGE.rglob("*.py"))
CYTHON = sorted([*PACKAGE.rglob("*.pyx"), *PACKAGE.rglob("*.pxd")])
C = sorted([*PACKAGE.rglob("*.c"), *PACKAGE.rglob("*.h")])

FUNCTIONS = re.compile(
    r"^( *)(?:def|cdef|cpdef)\s[^=\n(]*?\b(\w+)\((.*?)\)[^\n(),#]*(?:#[^\n]*)?$", re.MULTILINE | re.DOTALL
)


def place(file):
    return str(file.relative_to(PACKAGE))


def python_functions(text):
    """(name, lines without its docstring) of every function."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(getattr(first.value, "value", None), str)
            docstring = first.end_lineno - first.lineno + 1 if documented else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def cython_functions(text):
    """(name, parameters, lines without its docstring) of every function, which ends where the indentation does."""
    for match in FUNCTIONS.finditer(text):
        indent, name, parameters = match.groups()
        body = re.match(rf"(?:\n(?:{indent} +[^\n]*)?)*", text[match.end() :])[0].rstrip()
        code = re.sub(r'\A\s*""".*?"""', "", body, count=1, flags=re.DOTALL)
        names = [p for p in re.sub(r"\[[^\]]*\]|\([^)]*\)", "", parameters).split(",") if p.strip()]
        yield name, len(names), match[0].count("\n") + 1 + code.count("\n")


@pytest.mark.parametrize("file", [*PYTHON, *CYTHON, *C], ids=place)
def test_a_file_is_short(file):
    if file.parent.name != "reference":
        assert len(file.read_text().splitlines()) <= FILE


@pytest.mark.parametrize("file", PYTHON, ids=place)
def test_a_function_is_short(file):
    long = {name: lines for name, lines in python_functions(file.read_text()) if lines > FUNCTION}
    assert not long


@pytest.mark.parametrize("file", CYTHON, ids=place)
def test_a_cython_function_is_short_and_takes_few_parameters(file):
    found = list(cython_functions(file.read_text()))
    assert not {name: lines for name, _, lines in found if lines > FUNCTION}
    assert not {name: count for name, count, _ in found if count > PARAMETERS}


def test_functions_are_measured():
    text = '''cdef int one(const real[:, ::1] a, int b=max(1, 2),
             int c) noexcept nogil:
    """Of two

    lines.
    """
    cdef int d = f(a)

    return d


cdef class Two:
    def three(self):
        return 0
'''
    assert list(cython_functions(text)) == [("one", 3, 5), ("three", 1, 2)]
    assert list(python_functions('def f(x):\n    """Of\n    two lines."""\n    return x\n')) == [("f", 2)]
