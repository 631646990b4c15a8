"""The mirror: which packets are copied, and what becomes of a copy.

    rule, port mirror  ->  profile  ->  tunnel
    (which packets)        (how many,    (in what, and where to)
                            and which of the tunnels)

`mirror-traffic interface tunnelN` goes through a profile of its own that copies all to that one tunnel.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from hsadc.wire.encapsulation import Encapsulation

TCP, UDP = 6, 17
ANY_PROTOCOL, ANY_ICMP = 256, 257
"""Of an access list's entry: any protocol, and the ICMP of the packet's family."""
ANY_PORT = (0, 65535)


@dataclass(frozen=True, slots=True)
class TunnelIntent:
    """What happens to the copies that leave by a tunnel interface, or by an Ethernet interface as they are.

    Attributes:
        interface: `tunnel1` and so on; `ethernet0/2` for frames without encapsulation.
        egress: Linux device that the packets leave by; None lets the routing table choose.
        encapsulation: what is put in front of them.
        mtu_bytes: the largest outer IP packet (without encapsulation: the largest copied IP packet) that may be sent.
        oversize: what happens to copies that do not fit: `segment`, `fragment`, `truncate` or `drop`.
    """

    interface: str
    egress: str | None
    encapsulation: Encapsulation
    mtu_bytes: int = 1500
    oversize: str = "segment"

    @property
    def inner_mtu_bytes(self) -> int:
        """The largest IP packet, without a VLAN tag, whose copy fits in one outer packet."""
        return self.mtu_bytes - self.encapsulation.overhead_bytes

    @property
    def key(self) -> str:
        """One per interface."""
        return self.interface


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One entry of an access list, as the dataplane compares it.

    Attributes:
        permit: False denies.
        protocol: 0 to 255, ANY_PROTOCOL or ANY_ICMP.
        source: None is any address of either family.
        source_ports: first and last; ANY_PORT also matches packets without ports, others match TCP and UDP alone.
        destination: as `source`.
        destination_ports: as `source_ports`.
    """

    permit: bool
    protocol: int
    source: IPv4Network | IPv6Network | None = None
    source_ports: tuple[int, int] = ANY_PORT
    destination: IPv4Network | IPv6Network | None = None
    destination_ports: tuple[int, int] = ANY_PORT


@dataclass(frozen=True, slots=True)
class AccessListIntent:
    """An access list; its number follows from its content, so a changed list is another one.

    Attributes:
        number: 1 to 4294967295.
        rules: in order; a packet that none matches, in either direction, is denied.
    """

    number: int
    rules: tuple[AccessRule, ...]

    @property
    def key(self) -> int:
        """What profiles and port mirrors refer to."""
        return self.number


@dataclass(frozen=True, slots=True)
class ProfileIntent:
    """How a source's packets become copies.

    Attributes:
        number: 1 to 4294967295; names it, and with a destination its counters. N for `mirror-traffic interface tunnelN`.
        destinations: names of 1 to 8 tunnels (`TunnelIntent.interface`).
        direction: `forward`, `backward` or `bidirection`.
        distribute: `replicate`, `flow-hash` or `failover`.
        sample_packets: one packet of so many is copied.
        sample_flows: one flow of so many is copied.
        truncate_bytes: what is copied of each payload (IP packet or frame); None copies all.
        rate_pps: packets a second and destination; None sets no limit.
        rate_mbps: megabits a second and destination; None sets no limit.
        access_list: number of the list that permits what is copied; 0 permits all.
    """

    number: int
    destinations: tuple[str, ...]
    direction: str = "bidirection"
    distribute: str = "replicate"
    sample_packets: int = 1
    sample_flows: int = 1
    truncate_bytes: int | None = None
    rate_pps: int | None = None
    rate_mbps: int | None = None
    access_list: int = 0

    @property
    def key(self) -> int:
        """What rules and port mirrors refer to."""
        return self.number

    @property
    def exact(self) -> bool:
        """Whether it deals with packets one by one, as they are on the wire."""
        return self.sample_packets > 1 or self.truncate_bytes is not None


@dataclass(frozen=True, slots=True)
class RuleIntent:
    """Packets to or from this address and port are copied: forward those to it, backward those from it.

    Attributes:
        id: the virtual server's number, 1 to 65535; names its counters.
        address: the virtual server's address.
        port: the virtual server's port, 1 to 65535.
        protocol: IP protocol number; 6 is TCP, 17 is UDP.
        profile: number of the profile.
        hop: True means packets on the clear hop (`hsadc.intent.hop`), and those alone; False those on all other devices.
    """

    id: int
    address: IPv4Address | IPv6Address
    port: int
    protocol: int
    profile: int
    hop: bool = False

    @property
    def key(self) -> tuple[IPv4Address | IPv6Address, int, int, bool]:
        """What a packet is matched by."""
        return self.address, self.port, self.protocol, self.hop

    def __str__(self) -> str:
        """As an error names it."""
        return f"{self.address} port {self.port}"


@dataclass(frozen=True, slots=True)
class PortMirrorIntent:
    """All packets of a device are copied: forward those that it receives, backward those that it sends.

    Attributes:
        id: names its counters; 65536 and above.
        device: Linux name.
        profile: number of the profile.
        access_list: number of the list that permits what is copied, in addition to the profile's; 0 permits all.
        direction: as a profile's, in addition to that.
    """

    id: int
    device: str
    profile: int
    access_list: int = 0
    direction: str = "bidirection"

    @property
    def key(self) -> str:
        """One per device."""
        return self.device


@dataclass(frozen=True, slots=True)
class TapIntent:
    """A Linux device on which packets are looked at, both those that come in and those that go out."""

    device: str

    @property
    def key(self) -> str:
        """One per device."""
        return self.device
