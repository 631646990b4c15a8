"""The drivers of what exists in the process alone."""

from ipaddress import IPv4Address

import pytest

from hsadc.dataplane.portable.table import Table
from hsadc.errors import ApplyError
from hsadc.intent.mirror import RuleIntent

RULE = RuleIntent(7, IPv4Address("10.1.0.2"), 80, 6, 1)
CHANGED = RuleIntent(7, IPv4Address("10.1.0.2"), 80, 6, 2)
OTHER = RuleIntent(8, IPv4Address("10.1.0.2"), 81, 6, 1)


@pytest.fixture
def changes():
    return []


@pytest.fixture
def table(changes):
    return Table("mirror rule", lambda: changes.append(1), lambda rule: [] if rule.profile < 9 else [f"profile {rule.profile}"])


def test_objects_come_change_and_go(table, changes):
    table.prepare({RULE.key: RULE})
    table.create(RULE)
    table.create(OTHER)
    table.change(RULE, CHANGED)
    assert table.observe({}) == {RULE.key: CHANGED, OTHER.key: OTHER}
    assert table.all() == (CHANGED, OTHER)
    assert RULE.key in table
    table.delete(CHANGED)
    table.delete(CHANGED)
    assert table.all() == (OTHER,)
    assert len(changes) == 4


def test_what_is_observed_does_not_change(table):
    before = table.observe({})
    table.create(RULE)
    assert before == {}


def test_what_refers_to_nothing_is_refused(table, changes):
    with pytest.raises(ApplyError, match=r"mirror rule .*: profile 9 does not exist; nothing was changed"):
        table.create(RuleIntent(7, IPv4Address("10.1.0.2"), 80, 6, 9))
    assert (table.all(), changes) == ((), [])


def test_one_object_does_not_become_another(table):
    table.create(RULE)
    with pytest.raises(ValueError, match="cannot become"):
        table.change(RULE, OTHER)
