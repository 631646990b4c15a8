"""The services' text; the cases that are compared as a whole lie in tests/golden/haproxy, a file each.

`HSADC_REWRITE_GOLDEN=1` writes them anew: then read the difference before it is committed.
"""

from __future__ import annotations

import itertools
import os
import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hsadc.intent.haproxy import HaproxyIntent, compile_services
from hsadc.intent.haproxy_word import decode_name, encode_name
from hsadc.intent.inventory import Inventory
from hsadc.model.app_profile import AppProfile
from hsadc.model.config import Config
from hsadc.model.real_server import RealServer
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.virtual_server import Listener, VirtualServer

GOLDEN = Path(__file__).parents[2] / "golden" / "haproxy"
ADC = IPv4Address("192.168.131.2")

CONFIG = Config(
    app_profile={"xff": AppProfile("xff", x_forwarded_for=True), "plain": AppProfile("plain")},
    real_server={
        "rs33": RealServer("rs33", ip=IPv4Address("192.168.131.33"), port=80),
        "rs34": RealServer("rs34", ip=IPv4Address("192.168.131.34"), port=80, weight=5),
        "rs35": RealServer("rs35", ip=IPv4Address("192.168.131.35")),
        "未设置": RealServer("未设置"),
    },
    server_pool={
        "l7-http": ServerPool(
            "l7-http",
            members={
                "rs33": PoolMember("rs33"),
                "rs34": PoolMember("rs34", port=8080, weight=9),
                "rs35": PoolMember("rs35"),
                "未设置": PoolMember("未设置"),
            },
        ),
        "least": ServerPool("least", load_balance="least-connection", members={"rs34": PoolMember("rs34")}),
        'a "b" 汉\n字_': ServerPool('a "b" 汉\n字_', load_balance="source-hash", members={"rs33": PoolMember("rs33")}),
        "empty": ServerPool("empty"),
    },
)
ARTICLE = VirtualServer(
    "l7-http", id=1, log_enable=True, app_profile="xff", server_pool="l7-http", ip=Listener(ADC, 8087), auto_snat=True
)
CASES: dict[str, list[VirtualServer]] = {
    "article": [ARTICLE],
    "tcp": [VirtualServer("l4", "tcp", 2, log_enable=True, app_profile="xff", server_pool="least", ip=Listener(ADC, 3306))],
    "hostile-names": [VirtualServer('x\nfrontend y "z" #é', id=65535, server_pool='a "b" 汉\n字_', ip=Listener(ADC, 1))],
    "empty-pool": [VirtualServer("none", id=7, app_profile="plain", server_pool="empty", ip=Listener(ADC, 65535))],
    "one-pool-twice": [
        VirtualServer("second", id=10, server_pool="l7-http", ip=Listener(ADC, 82)),
        VirtualServer("first", id=9, server_pool="l7-http", ip=Listener(ADC, 81)),
    ],
}
MSS = {"l7-http": 1396}


def services(served: list[VirtualServer]) -> str:
    (intent,) = compile_services(CONFIG, Inventory(), served, MSS)
    return intent.services


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    path = GOLDEN / f"{case}.cfg"
    text = services(CASES[case])
    if os.environ.get("HSADC_REWRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_no_golden_file_without_its_case() -> None:
    assert {p.stem for p in GOLDEN.glob("*.cfg") if not p.stem.startswith("services-")} == set(CASES)


def test_no_virtual_server_needs_no_haproxy() -> None:
    assert compile_services(CONFIG, Inventory(), [], {}) == ()


def test_the_kernel_chooses_the_source_address() -> None:
    (intent,) = compile_services(CONFIG, Inventory(), [ARTICLE], {})
    assert "source" not in intent.services


def test_without_a_clamp_the_device_alone_limits_segments() -> None:
    (intent,) = compile_services(CONFIG, Inventory(), [ARTICLE], {})
    assert " mss 32767\n" in intent.services


def test_there_is_one() -> None:
    assert HaproxyIntent("a").key == HaproxyIntent("b").key


def test_the_order_of_virtual_servers_does_not_matter() -> None:
    everything = list(itertools.chain.from_iterable(CASES.values()))
    assert services(everything) == services(everything[::-1])


@given(st.text())
def test_a_name_comes_back(name: str) -> None:
    encoded = encode_name(name)
    assert re.fullmatch(r"[A-Za-z0-9_.:-]*", encoded)
    assert decode_name(encoded) == name


@given(st.text(alphabet="a:2 0_"), st.text(alphabet="a:2 0_"))
@example(":20:", " ")
def test_two_names_never_become_one(one: str, other: str) -> None:
    assert (encode_name(one) == encode_name(other)) == (one == other)


def test_plain_names_stay_readable() -> None:
    assert encode_name("l7-http_2.x") == "l7-http_2.x"


def test_an_error_does_not_say_haproxy_twice():
    assert str(HaproxyIntent("")) == "services"
