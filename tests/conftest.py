"""Tests that run beside each other: those of namespaces, those of other people's clients, and the pure ones file by file."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent
ALONE = ("external", "netns")
"""What these folders make on the machine, another test of the same folder may make as well: each runs in one process."""


def pytest_collection_modifyitems(items):
    for item in items:
        where = item.path.relative_to(ROOT)
        item.add_marker(pytest.mark.xdist_group(where.parts[0] if where.parts[0] in ALONE else str(where)))
