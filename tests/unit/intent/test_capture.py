"""The filters for the copies of tunnels; what they take on a wire is tested there (tests/netns/test_capture.py)."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from hsadc.intent.capture import copies_filter
from hsadc.wire.encapsulation import Encapsulation

ENDS4 = (ip_address("10.0.0.1"), ip_address("10.0.0.2"))
ENDS6 = (ip_address("2001:db8::1"), ip_address("2001:db8::2"))
HEAD4 = "src host 10.0.0.1 and dst host 10.0.0.2 and (ip[6:2] & 0x1fff != 0 or"
HEAD6 = "src host 2001:db8::1 and dst host 2001:db8::2 and (ip6[6] = 44 or"


@pytest.mark.parametrize(
    ("tunnel", "filter_"),
    [
        (
            Encapsulation("gre", *ENDS4, key=7),
            f"ip proto 47 and {HEAD4} (ip[20:2] & 0xb000 = 0x2000 and (ip[22:2] = 0x800 or ip[22:2] = 0x86dd) and ip[24:4] = 7))",
        ),
        (
            Encapsulation("gre", *ENDS6, payload="ethernet", key=7, checksum=True),
            f"ip6 proto 47 and {HEAD6} (ip6[40:2] & 0xb000 = 0xa000 and (ip6[42:2] = 0x6558) and ip6[48:4] = 7))",
        ),
        (Encapsulation("erspan", *ENDS4, version=1), f"ip proto 47 and {HEAD4} (ip[20:2] & 0xb000 = 0x0 and ip[22:2] = 0x88be))"),
        (
            Encapsulation("erspan", *ENDS4, version=3, session_id=9),
            f"ip proto 47 and {HEAD4} (ip[20:2] & 0xb000 = 0x1000 and ip[22:2] = 0x22eb and ip[30:2] & 0x3ff = 9))",
        ),
        (
            Encapsulation("vxlan", *ENDS6, vni=5),
            f"ip6 proto 17 and {HEAD6} (ip6[42:2] = 4789 and ip6[52:4] & 0xffffff00 = 1280))",
        ),
    ],
)
def test_what_tells_the_copies_of_a_tunnel_apart(tunnel, filter_):
    assert copies_filter(tunnel) == filter_
