"""`show dataplane`, `show arp`, `show ipv6 neighbor`: what carries the traffic."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from hsadc.cli.show.shown import Shown, shown_table, timestamp
from hsadc.cli.show.table import Columns, Row
from hsadc.model.title import number_of

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.neighbour import Neighbour


_PATHS = {
    "bpf": "BPF programs in the kernel copy packets",
    "portable": "hsadc itself copies packets, without BPF",
}


def do_show_dataplane(session: Session) -> Shown:
    """Which dataplane is in use, and how its parts stand."""
    dataplane = session.device.dataplane
    haproxy = dataplane.haproxy() if dataplane else None
    intent = dataplane.intent if dataplane else None
    data: Row = {
        "dataplane": dataplane.mirror_path if dataplane else "none",
        "kernel": platform.release(),
        "haproxy": {
            "version": haproxy.version if haproxy else None,
            "pid": haproxy.pid if haproxy else None,
            "running_since": timestamp(haproxy.running_since) if haproxy and haproxy.running_since else None,
            "restarts": haproxy.restarts if haproxy else None,
            "last_error": haproxy.last_error if haproxy else None,
            "reloads": haproxy.reloads if haproxy else None,
            "changed_settings": haproxy.changed if haproxy else None,
            "lost_log_lines": dataplane.server_log_lost if dataplane else None,
        },
        "mirrored_servers": len(intent.rules) if intent else None,
        "mirrored_interfaces": len(intent.port_mirrors) if intent else None,
        "mirror_profiles": len(intent.profiles) if intent else None,
        "tunnels": len(intent.tunnels) if intent else None,
        "tapped_devices": [tap.device for tap in intent.taps] if intent else [],
        "lost": [{"device": name, "packets": n} for name, n in dataplane.capture_lost().items()] if dataplane else [],
        "abilities": asdict(dataplane.abilities) if dataplane else None,
        "missing_for_bpf": dataplane.abilities.missing_for_bpf if dataplane else None,
        "warnings": dataplane.warnings() if dataplane else [],
    }
    return Shown(data, _lines(data))


def _lines(data: Row) -> Iterator[str]:
    if data["dataplane"] == "none":
        yield "Dataplane: none, configurations are kept but not applied"
        return
    haproxy = data["haproxy"]
    yield f"Dataplane: {_PATHS[data['dataplane']]}, HAProxy carries the connections; Linux {data['kernel']}"
    if data["missing_for_bpf"] is not None:
        yield f"BPF programs cannot copy here: {data['missing_for_bpf']}"
    yield from (f"Missing on this machine: {what}" for what in _lacks(data))
    servers, ports = number_of(data["mirrored_servers"], "virtual server"), number_of(data["mirrored_interfaces"], "interface")
    ways = f"{number_of(data['mirror_profiles'], 'profile')} to {number_of(data['tunnels'], 'tunnel')}"
    yield f"Mirror: {servers} and {ports} by {ways}"
    yield f"Packets are looked at on: {', '.join(data['tapped_devices']) or 'no device'}"
    if data["dataplane"] == "portable":
        lost = ", ".join(f"{entry['packets']} on {entry['device']}" for entry in data["lost"] if entry["packets"])
        yield f"Packets that came too fast and were not seen: {lost or 'none'}"
    if haproxy["pid"] is None:
        yield "HAProxy: not running"
    else:
        yield f"HAProxy: version {haproxy['version'] or 'not known'}, process {haproxy['pid']}, since {haproxy['running_since']}"
    yield f"HAProxy was started again {haproxy['restarts']} times; last error: {haproxy['last_error'] or 'none'}"
    work = f"{number_of(haproxy['changed_settings'], 'setting')} changed at run time, {number_of(haproxy['reloads'], 'reload')}"
    yield f"HAProxy: {work}; {number_of(haproxy['lost_log_lines'], 'line')} of its log lost"
    yield from (f"Warning: {warning}" for warning in data["warnings"])


def _lacks(data: Row) -> Iterable[str]:
    """What else was tried and does not work, each reason once."""
    reasons = dict.fromkeys(text for name, text in data["abilities"].items() if name != "kernel" and text != "yes")
    return (text for text in reasons if text != data["missing_for_bpf"] and not text.startswith("not tried"))


def do_show_arp(session: Session) -> Shown:
    """The kernel's IPv4 neighbours."""
    dataplane = session.device.dataplane
    return _neighbours(session, dataplane.neighbours() if dataplane else ())


def do_show_ipv6_neighbor(session: Session) -> Shown:
    """The kernel's IPv6 neighbours."""
    dataplane = session.device.dataplane
    return _neighbours(session, dataplane.ipv6_neighbours() if dataplane else ())


def _neighbours(session: Session, found: Iterable[Neighbour]) -> Shown:
    rows = [{"address": n.address, "mac": n.mac, "device": n.device, "state": n.state} for n in found]
    return shown_table("neighbours", _NEIGHBOURS, rows, session.width)


_NEIGHBOURS: Columns = {"IP address": "address", "Hardware address": "mac", "Device": "device", "State": "state"}
