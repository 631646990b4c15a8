"""Scripts of nftables against the running kernel, in a namespace of the test's own."""

import pytest

from hsadc.dataplane import nft
from hsadc.errors import ApplyError, Unsupported

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("net")]
TABLE = "hsadc_test"
SCRIPT = """
table inet hsadc_test {
  comment "layout 1"
  counter seen {
  }
  chain first {
    type filter hook input priority filter; policy accept;
    udp dport 53 counter name "seen" accept comment "dns"
    udp dport 54 drop
  }
}
"""


def test_what_was_applied_is_read_back():
    nft.apply(SCRIPT)
    kinds = [kind for kind, _ in nft.table(TABLE)]
    assert kinds == ["table", "counter", "chain", "rule", "rule"]
    assert [rule.get("comment") for kind, rule in nft.table(TABLE) if kind == "rule"] == ["dns", None]
    assert nft.table_comment(TABLE) == "layout 1"
    assert nft.counters(TABLE) == {"seen": (0, 0)}


def test_a_table_without_a_comment():
    nft.apply(f"add table inet {TABLE}")
    assert nft.table_comment(TABLE) == ""
    assert nft.counters(TABLE) == {}


def test_a_table_that_is_not_there():
    assert nft.table(TABLE) is None
    assert nft.table_comment(TABLE) is None
    assert nft.counters(TABLE) == {}


def test_a_table_is_deleted_and_deleted_again():
    nft.apply(SCRIPT)
    nft.delete_table(TABLE)
    assert nft.table(TABLE) is None
    nft.delete_table(TABLE)
    assert nft.table(TABLE) is None


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("add rule inet hsadc_test nowhere accept", "Could not process rule: No such file or directory"),
        ("add rule inet hsadc_test first nonsense", "syntax error, unexpected"),
    ],
)
def test_of_a_script_with_a_mistake_nothing_is_done(wrong, words):
    nft.apply(SCRIPT)
    with pytest.raises(ApplyError) as error:
        nft.apply(f"flush chain inet {TABLE} first\n{wrong}\n")
    assert error.value.cause.startswith(words)
    assert "\n" not in str(error.value)
    assert [rule.get("comment") for kind, rule in nft.table(TABLE) if kind == "rule"] == ["dns", None]


def test_a_machine_without_nft(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unsupported, match="install the package nftables"):
        nft.apply(SCRIPT)
