"""Virtual servers of type http: every pair of address families, with the clients' addresses replaced or kept, mirrored or not."""

from __future__ import annotations

import hashlib

import pytest

from tests.external.slb.device import pool, real_servers
from tests.external.slb.network import BACK, address
from tests.external.slb.streams import streams

pytestmark = pytest.mark.netns


def virtual(settings: str = "auto-snat", *, family: int = 4, port: int = 80, kind: str = "http", name: str = "v") -> str:
    return (
        f'slb virtual-server "{name}" type {kind} id 1\n  server-pool "web"\n  ip {address("adc", family)} port {port}\n'
        f"  {settings}\nexit\n"
    )


@pytest.mark.parametrize("family", [4, 6])
def test_requests_are_spread_over_the_real_servers_from_the_adcs_address(site, family):
    site.device.configure(real_servers(family) + pool("load-balance round-robin") + virtual(family=family))
    url = f"http://{address('adc')}/" if family == 4 else f"http://\\[{address('adc', 6)}\\]/"
    assert site.client.spread(url, 30) == {"rs1": 10, "rs2": 10, "rs3": 10}
    assert site.client.get(url).json["client"] == BACK[family]


def test_a_mirrored_download_is_at_the_analyzer_byte_by_byte(site):
    site.device.configure(
        real_servers() + pool("load-balance round-robin") + virtual("auto-snat\n  mirror-traffic interface tunnel1")
    )
    with site.mirrored() as capture:
        answer = site.client.get(f"http://{address('adc')}/files/big")

    found = streams(capture.copies.packets)
    back = found[(address("adc"), 80), (address("client1"), answer.facts["local_port"])]
    assert hashlib.sha256(back.data.partition(b"\r\n\r\n")[2]).digest() == hashlib.sha256(answer.body).digest()
