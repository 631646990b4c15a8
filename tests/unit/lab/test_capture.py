import pytest

from hsadc.errors import ApplyError, Unsupported
from hsadc.lab.capture import CaptureTotals, check_tcpdump, totals

LISTENING = "tcpdump: listening on eth0, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n"


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("4848 packets captured\n4849 packets received by filter\n3 packets dropped by kernel\n", CaptureTotals(4848, 3)),
        ("1 packet captured\n1 packet received by filter\n0 packets dropped by kernel\n", CaptureTotals(1, 0)),
        ("0 packets captured\n9 packets received by filter\n1 packet dropped by kernel\n", CaptureTotals(0, 1)),
    ],
)
def test_the_totals_are_read(said, found):
    assert totals(LISTENING + said) == found


def test_no_totals_are_a_failure_that_says_what_tcpdump_said():
    with pytest.raises(ApplyError, match="eth9: No such device"):
        totals("tcpdump: eth9: No such device exists\n")


def test_a_missing_tcpdump_is_one_line_that_names_the_package(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unsupported) as e:
        check_tcpdump()
    assert "install the Debian package tcpdump" in str(e.value)
    assert "\n" not in str(e.value)
