"""The packet table's network with the mirror that does without BPF."""

from hsadc.dataplane.portable.core import MirrorCore
from hsadc.dataplane.portable.mirror import PortableMirror, make_core
from hsadc.intent.hop import DEVICE
from tests.netns.mirror_net import until
from tests.netns.packet_case import FRONT
from tests.netns.packet_net import PacketNet


def reaches_a_tap(frame):
    """The kernel drops what it receives with a VLAN tag that is cut off, before anybody sees it."""
    return frame[12:14] not in (b"\x81\0", b"\x88\xa8") or len(frame) >= 20


class PortablePacketNet(PacketNet):
    """As `PacketNet`; the mirror's own threads read what passes and send the copies."""

    sends_by_tunnel = True

    def _open_mirror(self):
        self._handed = 0
        mirror = PortableMirror(self._make_core)
        mirror.start_watching()
        return mirror

    def _make_core(self, wanted, before):
        """The mirror's own core, whose packets are counted: those that it does not count itself, too."""
        core = make_core(wanted, before)
        core.process, core.wants = self._counting_process(core), self._counting_wants(core)
        return core

    def _counting_process(self, core):
        def process(*arguments):
            self._handed += 1
            return MirrorCore.process(core, *arguments)

        return process

    def _counting_wants(self, core):
        def wants(*arguments):
            wanted = MirrorCore.wants(core, *arguments)
            self._handed += not wanted  # else it is handed over next
            return wanted

        return wants

    def _learn(self, intents):
        pass

    def reset(self):
        """Counters and all that is remembered begin anew."""
        make = self._mirror._maker()
        self._mirror._copier.renew_core(lambda _: make(None))
        assert self._mirror.capture_lost() in ({}, {FRONT: 0, DEVICE: 0})
        self._handed = 0

    def counters(self):
        """All counters, of sources and of destinations."""
        counted = self._mirror.counters()
        return dict(counted.sources), dict(counted.destinations)

    def send(self, frames, device, expected):
        """Let frames pass the device, wait until the mirror has dealt with each; returns what left by `back`."""
        self._pass(frames, device)
        until(lambda: self._mirror._copier.between_packets(lambda: self._handed) >= len(frames))
        return self._left()
