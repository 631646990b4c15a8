from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from hsadc.intent.route import RouteIntent

DEFAULT = IPv4Network("0.0.0.0/0")


@pytest.mark.parametrize(
    ("route", "words"),
    [
        (RouteIntent(DEFAULT, IPv4Address("10.0.0.1"), None, 1), "0.0.0.0/0 via 10.0.0.1"),
        (RouteIntent(DEFAULT, None, "eth0", 1), "0.0.0.0/0 on eth0"),
    ],
)
def test_an_error_names_it(route, words):
    assert str(route) == words
