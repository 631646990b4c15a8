"""The derived tables on disk: whatever stands there, the tables are right."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hsadc.syntax import tables
from hsadc.syntax.derive import derive
from hsadc.syntax.grammar import grammar_text, load_grammar
from hsadc.syntax.match import walk
from hsadc.syntax.nodes import make_nodes
from hsadc.syntax.tables import keep_tables, tables_of

GRAMMAR = 'line_exec: a\na: "a"'
RIGHT = {
    "patterns": {},
    "lists": {},
    "states": [[["a", False, []], [], False], [None, [["a", "", "", "", 0]], False]],
    "modes": {"exec": 1},
}


@pytest.fixture
def file(tmp_path):
    keep_tables(GRAMMAR, tmp_path / "tables.json")
    return tmp_path / "tables.json"


def test_the_tables_in_use_are_those_of_the_grammar():
    assert tables_of(grammar_text()) == json.loads(json.dumps(derive(grammar_text())))


def test_what_is_equal_is_kept_once_and_what_may_follow_comes_first():
    tables = derive(grammar_text())
    assert len({json.dumps(state) for state in tables["states"]}) == len(tables["states"])
    for number, (_, arcs, _) in enumerate(tables["states"]):
        assert all(ahead < number for *_, ahead in arcs)
    after_protocol = {line: walk(load_grammar().roots["access_list"], line, line.split())[0] for line in ("permit ip", "deny 47")}
    assert len({id(node) for node in after_protocol.values()}) == 1


def test_a_state_within_text_is_no_other_state():
    grammar = 'line_x: a\na: "t" TEXT | "w" WORD\nTEXT.-2: /.+/\nWORD.-1: /\\S+/\n//? TEXT LINE -\n//? WORD WORD -'
    root = make_nodes(derive(grammar))["x"]
    assert [root.keywords["t"].terminals[0][1].in_text, root.keywords["w"].terminals[0][1].in_text] == [True, False]


def test_what_was_kept_is_read_without_deriving_it(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "hsadc.syntax.derive", None)  # its import fails
    assert tables_of(GRAMMAR, file) == RIGHT


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.unlink(),
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_text(file.read_text().replace('"a"', '"b"')),
        lambda file: keep_tables('line_exec: b\nb: "b"', file),
    ],
    ids=["gone", "empty", "not text", "cut off", "damaged", "of another grammar"],
)
def test_a_file_that_does_not_fit_is_made_again(file, damage):
    right = file.read_bytes()
    damage(file)
    assert tables_of(GRAMMAR, file) == RIGHT
    assert file.read_bytes() == right
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(file.parent.iterdir()) == [file]


def test_tables_that_other_code_derived_are_made_again(file, monkeypatch):
    monkeypatch.setattr(tables, "_DERIVED_BY", ("derive.py",))
    before = file.read_bytes()
    assert tables_of(GRAMMAR, file) == RIGHT
    assert file.read_bytes() != before


def test_a_folder_that_everybody_may_write_gets_no_file(file):
    file.unlink()
    file.parent.chmod(0o777)
    assert tables_of(GRAMMAR, file) == RIGHT
    assert not file.exists()


def test_where_nothing_can_be_written_nothing_is(tmp_path):
    assert tables_of(GRAMMAR, tmp_path / "missing" / "tables.json") == RIGHT
    (tmp_path / "tables.json").mkdir()
    assert tables_of(GRAMMAR, tmp_path / "tables.json") == RIGHT
    assert [p.name for p in tmp_path.iterdir()] == ["tables.json"]


@pytest.mark.parametrize("module", ["hsadc.cli.main", "hsadc.syntax.grammar", "hsadc.cli.daemon", "hsadc.cli.console"])
def test_the_command_line_starts_without_the_slow_libraries(module):
    slow = "{'lark', 'scapy', 'asyncssh', 'prompt_toolkit'}"
    code = (
        f"import sys, {module}; from hsadc.syntax.grammar import load_grammar; load_grammar(); print(*{slow} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
