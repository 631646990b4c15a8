"""The core that the live mirror runs: the same that `hsadc replay` does."""

from __future__ import annotations

from hsadc.dataplane.portable.core import Intents, MirrorCore, TunnelStatus
from hsadc.dataplane.portable.mirror import PortableMirror, Wanted


def make_core(wanted: Wanted, before: MirrorCore | None) -> MirrorCore:
    """A core of what is wanted; counters, sequence numbers and the like of the one before go on."""
    intents = Intents(wanted.tunnels, wanted.access_lists, wanted.profiles, wanted.rules, wanted.port_mirrors)
    statuses = {interface: TunnelStatus(path.state, path.mtu_bytes) for interface, path in wanted.paths.items()}
    return MirrorCore(intents, statuses, before.state if before is not None else None)


def portable_mirror() -> PortableMirror:
    """The mirror without BPF.

    Raises:
        Unsupported: the process may not; says which capability is missing.
        OSError: there is no rtnetlink, or no file descriptor left.
    """
    return PortableMirror(make_core)
