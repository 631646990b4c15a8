"""Where copies go: how a destination is encapsulated, whether it is up, what fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hsadc.cli.show.mirrored import bound_to
from hsadc.cli.show.shown import timestamp
from hsadc.cli.show.table import Row
from hsadc.intent.mirror import TunnelIntent
from hsadc.wire import ip
from hsadc.wire.encapsulation import Encapsulation

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.tunnel import TunnelState
    from hsadc.model.config import Config

LARGER = {
    "segment": "TCP is sent in smaller segments, others are dropped",
    "fragment": "sent in outer fragments",
    "truncate": "their end is left out",
    "drop": "dropped",
}
"""What happens to packets that do not fit, by the tunnel's policy."""


def in_force(session: Session, interface: str) -> TunnelIntent | None:
    """What is in force of an interface that copies leave by; None when nothing is."""
    dataplane = session.device.dataplane
    return next((t for t in dataplane.intent.tunnels if t.interface == interface), None) if dataplane else None


def standing(session: Session, interface: str) -> Row:
    """How an interface that copies leave by stands now; what is not known of one that is not in force is null."""
    dataplane, intent = session.device.dataplane, in_force(session, interface)
    if dataplane is None or intent is None:
        return _standing("down", why_not(session.device.running, interface) or "it is not in force", None, None)
    state = dataplane.tunnel_state(interface)
    return _standing(state.state, state.reason, intent, state)


def _standing(name: str, reason: str, intent: TunnelIntent | None, state: TunnelState | None) -> Row:
    past = state.past if state else None
    trouble = past.trouble if past else None
    mtu = state.mtu_bytes if state else None
    return {
        "state": name,
        "reason": reason or None,
        "since": timestamp(past.since) if past else None,
        "device": state.egress if state else None,
        "next_hop": state.next_hop if state else None,
        "mac": state.mac if state else None,
        "egress_dropped_packets": state.egress_dropped if state else None,
        "mtu_bytes": mtu,
        "unchanged_bytes": mtu - intent.encapsulation.overhead_bytes if intent and mtu is not None else None,
        "oversize": intent.oversize if intent else None,
        "last_error": {
            "time": timestamp(trouble.at) if trouble else None,
            "reason": trouble.reason if trouble else None,
        },
    }


def why_not(config: Config, interface: str) -> str | None:
    """Why nothing can leave by an interface, whatever the kernel says; None when the configuration lets it."""
    section: Any = config.tunnel_interface.get(interface) or config.ethernet.get(interface)
    if section is not None and section.shutdown:
        return f"interface {interface} is shut down"
    if section is None and interface.startswith("tunnel"):
        return f"there is no interface {interface}"
    if interface.startswith("tunnel") and bound_to(config, interface)["kind"] is None:
        return f"interface {interface} is bound to no tunnel"
    return None


def encapsulated(intent: TunnelIntent | None) -> Row:
    """The outer headers; what a kind does not have is null."""
    e = intent.encapsulation if intent else Encapsulation("none")
    kind = e.kind if intent else None
    outer = e.kind != "none"
    return {
        "kind": kind,
        "outer_source": e.source,
        "outer_destination": e.destination,
        "outer_protocol": (ip.UDP if kind == "vxlan" else ip.GRE) if outer else None,
        "ttl": e.ttl if outer else None,
        "dscp": e.dscp if outer else None,
        "dont_fragment": e.dont_fragment if outer else None,
        "payload": e.payload if intent else None,
        "key": e.key,
        "sequence": e.numbered if outer else None,
        "checksum": e.checksum if outer else None,
        "version": e.version if kind == "erspan" else None,
        "session_id": e.session_id if kind == "erspan" and e.version > 1 else None,
        "vni": e.vni if kind == "vxlan" else None,
        "udp_port": e.port if kind == "vxlan" else None,
    }


def outer_line(row: Row) -> str:
    """The outer headers in words; of what `encapsulated` gives."""
    if row["kind"] == "none":
        return "frames leave as they are"
    parts = [f"{row['kind']} {row['outer_source']} > {row['outer_destination']}", *_options(row)]
    return ", ".join(parts)


def _options(row: Row) -> Iterator[str]:
    match row["kind"]:
        case "gre":
            yield "frames" if row["payload"] == "ethernet" else "IP packets"
            yield "no key" if row["key"] is None else f"key {row['key']}"
        case "erspan":
            yield f"type {'I' * row['version']}"
            if row["session_id"] is not None:
                yield f"session {row['session_id']}"
        case "vxlan":
            yield f"VNI {row['vni']}"
            yield f"UDP port {row['udp_port']}"
    if row["sequence"]:
        yield "numbered"
    if row["checksum"]:
        yield "checksum"
    yield f"TTL {row['ttl']}"
    if row["dscp"]:
        yield f"DSCP {row['dscp']}"
    if row["dont_fragment"]:
        yield "DF"


def way_lines(row: Row) -> Iterator[str]:
    """Next hop, and what fits; of what `standing` gives, with `truncate_bytes` where a profile cuts copies anyway."""
    if row["next_hop"] is not None:
        yield f"next hop {row['next_hop']} ({row['mac'] or 'hardware address not known'}) by {row['device']}"
    elif row["device"] is not None:
        yield f"leaves by {row['device']}"
    if row["egress_dropped_packets"]:
        yield f"{row['device']} has dropped {row['egress_dropped_packets']} outgoing packets: copies among them count as sent"
    if row["mtu_bytes"] is not None:
        fits = f"packets up to {row['unchanged_bytes']} bytes are copied unchanged, larger ones: {_larger(row)}"
        yield f"path takes {row['mtu_bytes']} bytes: {fits}"


def _larger(row: Row) -> str:
    truncated = row.get("truncate_bytes")
    return f"cut to {truncated} bytes" if truncated else LARGER[row["oversize"]]


def state_text(row: Row) -> str:
    """`up`, `down (next hop ... does not answer)`."""
    return f"{row['state']} ({row['reason']})" if row["reason"] else str(row["state"])
