"""docs/slb-tests.md says what is tested of server load balancing, as the tests themselves say it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = sorted((ROOT / "tests" / "external" / "slb").glob("test_*.py"))
TABLE = ROOT / "docs" / "slb-tests.md"
HEAD = """\
# Server load balancing: what is tested

Every line is a test with real clients (curl, h2load, OpenSSL, sslyze, a WebSocket client, sockets), a real daemon, nginx and
others as real servers, and an analyzer that takes the copies, each in a network namespace of its own. What is seen at clients,
real servers and analyzer is what counts. `pytest tests/external/slb` runs them, as root, and prints in the end what clients saw
of failures.

This file is made of the tests' names: `HSADC_REWRITE_GOLDEN=1 pytest tests/unit/test_slb_table.py`.
"""


def table() -> str:
    return "\n".join([HEAD, *(line for file in TESTS for line in section(file))])


def section(file: Path) -> Iterator[str]:
    module = ast.parse(file.read_text())
    yield from (f"## {(ast.get_docstring(module) or '').splitlines()[0].rstrip('.')}", "")
    yield from (f"| {file.name} | |", "| --- | --- |")
    tests = (n for n in module.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_"))
    yield from (f"| {sentence(test)} | `{test.name}` |" for test in tests)
    yield ""


def sentence(test: ast.FunctionDef) -> str:
    words = test.name.removeprefix("test_").replace("_", " ")
    return f"{words[0].upper()}{words[1:]}"


def test_the_table_is_that_of_the_tests():
    if os.environ.get("HSADC_REWRITE_GOLDEN") == "1":
        TABLE.write_text(table())
    assert TABLE.read_text() == table()


def test_every_module_says_what_it_is_about():
    assert all(ast.get_docstring(ast.parse(file.read_text())) for file in TESTS)
