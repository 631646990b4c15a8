"""The mirror's programs and maps in the kernel: adopted when they are there, loaded when they are needed, given back when idle.

Programs stay in force by the filters that refer to them, and maps by the programs; both outlive the process. A new process finds
them again: filter -> id of the program -> ids of its maps. The program's name holds a hash of the compiled object, so what
another version left is recognised and removed instead of being misread.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Mapping
from pathlib import Path

from hsadc.dataplane.bpf import clsact, records
from hsadc.dataplane.bpf.elf import BpfObject, decode
from hsadc.dataplane.bpf.syscall import Map, load_program, program_info
from hsadc.dataplane.netlink import Netlink
from hsadc.errors import ApplyError, Unsupported

OBJECT = Path(__file__).with_name("mirror.bpf.o")


class Objects:
    """Owns the descriptors of programs and maps. Not thread-safe: callers hold `lock`.

    Attributes:
        netlink: a socket in the network namespace that the mirror works in; owned by the caller, used only under `lock`.
        lock: held during each look at the kernel and each change.
    """

    def __init__(self, netlink: Netlink) -> None:
        self.netlink = netlink
        self.lock = threading.RLock()
        self._maps: dict[str, Map] = {}
        self._programs: dict[str, int] = {}

    @property
    def maps(self) -> Mapping[str, Map]:
        """The open maps by name; empty while nothing is loaded or adopted."""
        return self._maps

    def adopt(self) -> Mapping[str, Map]:
        """Open the maps that an earlier process left in force, remove what another version left; nothing when maps are open.

        Returns:
            The open maps.

        Raises:
            ApplyError: the process may not look at programs (CAP_SYS_ADMIN).
        """
        if self._maps or not (found := list(clsact.attachments(self.netlink))):
            return self._maps
        name = program_name(_read())
        ids: dict[str, int] = {}
        for attachment in found:
            try:
                ours = self._adopt_maps(attachment.program_id, name, ids)
            except PermissionError as e:
                raise ApplyError("adopt the mirror", "looking at loaded programs needs the capability CAP_SYS_ADMIN") from e
            if not ours:
                self._remove(attachment)
        if self._maps:
            self._complete(decode(_read()))
        return self._maps

    def load(self) -> Mapping[str, Map]:
        """Adopt or make the maps, and load the programs.

        Returns:
            The open maps.

        Raises:
            Unsupported: this kernel cannot, or the process may not.
            ApplyError: the package has no compiled object, or it does not fit this program.
        """
        self.adopt()
        if self._programs:
            return self._maps
        blob = _read()
        compiled = decode(blob)
        _check(compiled)
        try:
            self._complete(compiled)
            descriptors = {name: m.fd for name, m in self._maps.items()}
            for name, code in compiled.programs.items():
                self._programs[name] = load_program(program_name(blob), code.link(descriptors), compiled.license)
        except OSError as e:
            self.close()
            raise Unsupported("load the mirror's programs", _cause(e)) from e
        return self._maps

    def attach(self, ifindex: int, name: str) -> None:
        """Put the program of that name at its hook of the device; `load` was called before."""
        clsact.attach(self.netlink, ifindex, name, self._programs[name])

    def release(self) -> None:
        """Give programs and maps back when no filter is attached and nothing is in the maps."""
        used = (self._maps[name] for name in ("rules", "port_mirrors", "tunnels") if name in self._maps)
        busy = any(next(m.keys(), None) is not None for m in used)
        if not busy and not any(clsact.attachments(self.netlink)):
            self.close()

    def close(self) -> None:
        """Give the descriptors back; what is in force stays in force."""
        for m in self._maps.values():
            m.close()
        for fd in self._programs.values():
            os.close(fd)
        self._maps.clear()
        self._programs.clear()

    def _adopt_maps(self, program_id: int, name: str, ids: dict[str, int]) -> bool:
        """Open the program's maps; False when it is another version's, or works on other maps than those in `ids` by name."""
        info = program_info(program_id)
        if info.name != name:
            return False
        opened = [(*Map.open(map_id), map_id) for map_id in info.map_ids]
        ours = all(ids.get(map_name, map_id) == map_id for map_name, _, map_id in opened)
        for map_name, opened_map, map_id in opened:
            if ours and map_name not in self._maps:
                self._maps[map_name] = opened_map
                ids[map_name] = map_id
            else:
                opened_map.close()
        return ours

    def _remove(self, leftover: clsact.Attachment) -> None:
        """Detach what another version attached; the encapsulator's device was made for it, and goes with it."""
        if leftover.name == "hsadc_encap":
            self.netlink.delete_link(leftover.ifindex)
        else:
            clsact.detach(self.netlink, leftover.ifindex, leftover.name)

    def _complete(self, compiled: BpfObject) -> None:
        for name, shape in compiled.maps.items():
            if name not in self._maps:
                self._maps[name] = Map.create(name, shape)


def program_name(blob: bytes) -> str:
    """The name of an object's programs in the kernel: it tells one version from another."""
    return f"hsadc_{hashlib.sha256(blob).hexdigest()[:9]}"


def _read() -> bytes:
    try:
        return OBJECT.read_bytes()
    except FileNotFoundError as e:
        raise ApplyError("load the mirror's programs", f"{OBJECT.name} is not compiled: run compiler.py beside it") from e


def _check(compiled: BpfObject) -> None:
    """Compare the sizes of keys and values on both sides."""
    sizes = {name: (shape.key_size, shape.value_size) for name, shape in compiled.maps.items()}
    if sizes != records.SIZES:
        raise ApplyError("load the mirror's programs", f"{OBJECT.name} was compiled from other sources: its records differ")


def _cause(e: OSError) -> str:
    if e.errno == errno.EPERM:
        return "the process needs the capabilities CAP_BPF and CAP_NET_ADMIN"
    if e.errno == errno.ENOSYS:
        return "this kernel or machine has no bpf system call"
    return f"the kernel refused them: {e}"
