from __future__ import annotations

import pytest

from hsadc.intent.link import LinkIntent


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (LinkIntent("eth0"), "eth0 up"),
        (LinkIntent("eth0", up=False), "eth0 down"),
        (LinkIntent("eth0", mtu_bytes=1400), "eth0 up with mtu 1400"),
    ],
)
def test_an_error_names_it(link, words):
    assert str(link) == words
