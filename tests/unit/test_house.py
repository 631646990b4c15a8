"""The house's own rules, those that no linter knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(ROOT.glob("hsadc/**/*.py"))
SOURCES = [*MODULES, *ROOT.glob("hsadc/**/*.[ch]"), *ROOT.glob("grammar/*.lark")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_is_at_most_500_lines(path):
    assert len(path.read_text().splitlines()) <= 500


def test_no_module_is_a_drawer_for_everything():
    assert not {p.stem for p in MODULES} & {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


def using(pattern):
    return {str(p.relative_to(ROOT)) for p in MODULES if re.search(pattern, p.read_text(), re.MULTILINE)}


def test_processes_are_started_in_one_place():
    assert using(r"subprocess\.(Popen|run|call|check_\w+)\(|os\.(exec|spawn|system|popen|fork)") == {
        "hsadc/dataplane/bpf/compiler.py",  # runs before anything of hsadc is installed
        "hsadc/dataplane/run.py",
    }


def test_only_the_command_line_prints():
    assert using(r"^\s*print\(") == {"hsadc/cli/main.py"}
