"""Whatever objects are called, HAProxy accepts the file that is written for them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hsadc.dataplane.haproxy import HaproxyDriver
from hsadc.intent.haproxy import HaproxyIntent, compile_services
from hsadc.intent.haproxy_file import HaproxyFile
from hsadc.intent.inventory import Inventory
from hsadc.model.app_profile import AppProfile
from hsadc.model.config import Config
from hsadc.model.real_server import RealServer
from hsadc.model.server_pool import PoolMember, ServerPool
from hsadc.model.virtual_server import Listener, VirtualServer
from tests.netns.certificates import authority

pytestmark = pytest.mark.netns

PORTS = st.integers(1, 65535)
NAMES = st.text(min_size=1, max_size=63) | st.sampled_from(
    ["#", "-", "server", "汉" * 63, "\U0001f600" * 63, "a b", '"', "'", "\\", "$HOME"]
)
ADDRESSES = st.ip_addresses(v=4)


@st.composite
def configs(draw: st.DrawFn) -> Config:
    reals = {
        name: RealServer(name, ip=draw(st.none() | ADDRESSES), port=draw(st.none() | PORTS), weight=draw(st.integers(1, 255)))
        for name in draw(st.lists(NAMES, max_size=4, unique=True))
    }
    pools = {
        name: ServerPool(
            name,
            load_balance=draw(
                st.sampled_from(["weighted-round-robin", "round-robin", "least-connection", "source-hash", "uri-hash", "random"])
            ),
            members={r: PoolMember(r, draw(st.none() | PORTS), draw(st.none() | st.integers(1, 255))) for r in reals},
        )
        for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    }
    servers = {
        name: VirtualServer(
            name,
            draw(st.sampled_from(["http", "tcp"])),
            id=number,
            log_enable=draw(st.booleans()),
            app_profile=draw(st.none() | st.just("xff")),
            server_pool=draw(st.sampled_from(sorted(pools))),
            ip=Listener(draw(ADDRESSES), draw(PORTS)),
        )
        for number, name in enumerate(draw(st.lists(NAMES, min_size=1, max_size=4, unique=True)), start=1)
    }
    profile = AppProfile("xff", x_forwarded_for=True)
    return Config(app_profile={"xff": profile}, real_server=reals, server_pool=pools, virtual_server=servers)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> HaproxyDriver:
    return HaproxyDriver(tmp_path_factory.mktemp("check"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(configs(), st.none() | st.integers(88, 9000))
def test_hostile_names_are_accepted(driver: HaproxyDriver, config: Config, mss: int | None) -> None:
    names = config.virtual_server
    clamp = {} if mss is None else dict.fromkeys(names, mss)
    (intent,) = compile_services(config, Inventory(), names.values(), clamp)
    driver.prepare({intent.key: intent})


def files_of(text: str) -> tuple[HaproxyFile, ...]:
    """Something for each file that a text names."""
    ours = authority("authority")
    contents = {
        ".list": lambda name: f"{name.removesuffix('.list')}.pem\n".encode(),
        ".pem": lambda _: ours.issue("www.test"),
        ".ca": lambda _: ours.pem,
        ".html": lambda _: b"<h1>Sorry</h1>",
    }
    names = set(re.findall(r"\b(?:pki|pages)/\S+", text))
    names |= {f"{name.removesuffix('.list')}.pem" for name in names if name.endswith(".list")}
    return tuple(HaproxyFile(name, contents[Path(name).suffix](name)) for name in sorted(names))


@pytest.mark.parametrize("case", sorted((Path(__file__).parents[1] / "golden" / "haproxy").glob("*.cfg")), ids=lambda p: p.stem)
def test_golden_files_are_accepted(driver: HaproxyDriver, case: Path) -> None:
    text = case.read_text(encoding="utf-8")
    driver.prepare({"haproxy": HaproxyIntent(text, files_of(text))})
