"""Virtual servers: the addresses that clients connect to."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from hsadc.model.mirror_profile import MirrorTarget


@dataclass(frozen=True, slots=True)
class Listener:
    """`ip A port N`: the address and TCP port (1 to 65535) that clients connect to."""

    address: IPv4Address
    port: int


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """`slb virtual-server NAME type T id N`.

    Attributes:
        name: as the operator wrote it.
        type: the protocol it speaks with clients; `http` or `tcp`.
        id: its number, 1 to 65535; names its counters in the dataplane.
        description: free text for people.
        log_enable: True writes a log line for each request.
        app_profile: name of an application profile.
        server_pool: name of the pool that serves the traffic; without one the virtual server is not in force.
        auto_snat: True connects to the real servers from the ADC's own address.
        ip: where it listens; without it the virtual server is not in force.
        mirror_traffic: what its traffic is copied to.
        shutdown: True takes it out of force.
    """

    name: str
    type: str = "http"
    id: int = 1
    description: str | None = None
    log_enable: bool = False
    app_profile: str | None = None
    server_pool: str | None = None
    auto_snat: bool = False
    ip: Listener | None = None
    mirror_traffic: MirrorTarget | None = None
    shutdown: bool = False
