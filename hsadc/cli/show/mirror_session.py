"""`show mirror session`: an entry for each source and destination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from hsadc.cli.show.destination import encapsulated, in_force, outer_line, standing, state_text, way_lines
from hsadc.cli.show.mirror import destination_counters, drops
from hsadc.cli.show.mirrored import Mirrored, bound_to, check_name, mirrored, off
from hsadc.cli.show.shown import Shown
from hsadc.cli.show.table import Row

if TYPE_CHECKING:
    from hsadc.cli.session import Session
    from hsadc.dataplane.mirror_counters import MirrorCounters
    from hsadc.intent.mirror import TunnelIntent


def do_show_mirror_session(session: Session, name: str | None = None) -> Shown:
    """What is copied, how, where to, and how that stands; with a name, what concerns that source, profile or destination."""
    running, dataplane = session.device.running, session.device.dataplane
    check_name(running, name)
    counters = dataplane.mirror_counters() if dataplane else None
    chosen = [s for s in mirrored(running) if name is None or s.concerns(name)]
    standings = {d: standing(session, d) for d in dict.fromkeys(d for s in chosen for d in s.profile.destinations)}
    only = name if name in standings else None
    sessions = [
        {**_source(source), **_destination(session, source, d, standings[d], counters)}
        for source in chosen
        for d in source.profile.destinations
        if only is None or d == only
    ]
    profiles = {s.target: {"profile": s.profile_name, "destinations": list(s.profile.destinations)} for s in chosen}
    rows = [{**p, "state": state_of_all(standings[d]["state"] for d in p["destinations"] or ())} for p in profiles.values()]
    named = [row for row in rows if row["profile"] is not None]
    return Shown({"sessions": sessions, "profiles": named}, _lines(sessions, named))


def state_of_all(states: Iterable[str]) -> str:
    """`up` when all destinations are, `down` when none sends anything, else `degraded`."""
    found = set(states)
    return "up" if found == {"up"} else "down" if found <= {"down"} else "degraded"


def _source(source: Mirrored) -> Row:
    profile = source.profile
    sampling, limit = profile.sampling, profile.rate_limit
    return {
        "source_kind": source.kind,
        "source": source.name,
        "direction": source.direction,
        "view": source.view,
        "copied_port": source.port,
        "profile": source.profile_name,
        "source_access_list": source.access_lists.get("source"),
        "profile_access_list": source.access_lists.get("profile"),
        "distribute": profile.distribute,
        "sampling_unit": sampling.unit if sampling else None,
        "sampling_one_in": sampling.one_in if sampling else None,
        "rate_limit_pps": limit.rate if limit and limit.unit == "pps" else None,
        "rate_limit_mbps": limit.rate if limit and limit.unit == "mbps" else None,
    }


def _destination(session: Session, source: Mirrored, interface: str, stands: Row, counters: MirrorCounters | None) -> Row:
    counted = counters.destinations.get((source.number, interface)) if counters else None
    dropped = drops(destination_counters(counted))[:1] if counted else []
    intent = in_force(session, interface)
    why = off(session, source)
    state = stands if why is None else {**stands, "state": "down", "reason": why}
    return {
        "destination": interface,
        "tunnel": bound_to(session.device.running, interface)["tunnel"],
        **encapsulated(intent),
        **state,
        **_cut(source, stands, intent),
        "copies": counted.copies if counted else None,
        "sent_packets": counted.sent_packets if counted else None,
        "dropped_packets": counted.dropped if counted else None,
        "most_dropped": dropped[0][0].replace(" ", "_") if dropped else None,
    }


def _cut(source: Mirrored, stands: Row, intent: TunnelIntent | None) -> Row:
    """What the profile cuts copies to, and the largest packet that is copied whole then."""
    most, fits = source.profile.truncate, stands["unchanged_bytes"]
    if intent is None or fits is None or most is None:
        return {"truncate_bytes": most}
    whole = most - (14 if intent.encapsulation.payload == "ethernet" else 0)
    return {"truncate_bytes": most, "unchanged_bytes": min(whole, fits)}


def _lines(sessions: Sequence[Row], profiles: Sequence[Row]) -> Iterator[str]:
    if not sessions:
        yield "Nothing is to be mirrored."
        return
    for row in sessions:
        yield f"{row['source_kind']} {row['source']} > {row['destination']}: {state_text(row)}"
        yield f"  {', '.join(_how(row))}"
        if row["kind"] is not None:
            yield f"  {outer_line(row)}"
        yield from (f"  {line}" for line in way_lines(row))
        if row["copies"] is not None:
            most = f", most of them: {row['most_dropped'].replace('_', ' ')}" if row["most_dropped"] else ""
            yield f"  {row['copies']} copies, {row['sent_packets']} packets sent, {row['dropped_packets']} dropped{most}"
        if row["last_error"]["time"]:
            yield f"  last error {row['last_error']['time']}: {row['last_error']['reason']}"
    for profile in profiles:
        yield f'mirror-profile "{profile["profile"]}": {profile["state"]}, to {", ".join(profile["destinations"])}'


def _how(row: Mapping[str, object]) -> Iterator[str]:
    if row["profile"] is not None:
        yield f'profile "{row["profile"]}"'
    if row["view"]:
        yield f"view {row['view']}"
    if row["copied_port"]:
        yield f"port {row['copied_port']}"
    yield f"direction {row['direction']}"
    if row["profile"] is not None:
        yield f"distribute {row['distribute']}"
    if row["sampling_unit"]:
        yield f"sampling {row['sampling_unit']} {row['sampling_one_in']}"
    for key, unit in (("rate_limit_pps", "pps"), ("rate_limit_mbps", "mbps")):
        if row[key]:
            yield f"rate-limit {row[key]} {unit}"
    if row["truncate_bytes"]:
        yield f"truncate {row['truncate_bytes']}"
    lists = dict.fromkeys(row[key] for key in ("source_access_list", "profile_access_list") if row[key])
    yield from (f'access-list "{name}"' for name in lists)
