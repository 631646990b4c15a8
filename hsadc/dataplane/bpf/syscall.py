"""The bpf(2) system call: programs, maps and what the kernel tells of them.

Attributes are packed as `union bpf_attr` of include/uapi/linux/bpf.h has them, in the machine's byte order. Every function raises
OSError with the kernel's errno.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass

_LIBC = ctypes.CDLL(None, use_errno=True)
_NUMBER = {"x86_64": 321, "aarch64": 280, "riscv64": 280}
_ATTRIBUTE_SIZE = 144

MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD = range(6)
PROG_TEST_RUN, PROG_GET_FD, MAP_GET_FD, OBJECT_INFO = 10, 13, 14, 15
PERCPU_HASH, PERCPU_ARRAY = 5, 6
_SCHED_CLS = 3
_CPUS_MAX = 8192
_MAPS_MAX = 64


def bpf(command: int, attributes: bytes) -> tuple[int, bytes]:
    """Make the call.

    Returns:
        Its result (for commands that make one, a file descriptor that the caller owns), and the attributes afterwards.

    Raises:
        OSError: the kernel refused, or the machine's call number is not known (ENOSYS).
    """
    number = _NUMBER.get(os.uname().machine)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    buffer = ctypes.create_string_buffer(attributes, _ATTRIBUTE_SIZE)
    result = _LIBC.syscall(number, command, buffer, _ATTRIBUTE_SIZE)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result, buffer.raw


def address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    """Where the buffer is; the caller keeps it alive during the call."""
    return ctypes.addressof(buffer)


@dataclass(frozen=True, slots=True)
class MapShape:
    """What a map is made from: BPF_MAP_TYPE_*, bytes of a key and of a value (of one CPU), how many entries it takes, BPF_F_*."""

    type: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int = 0

    @property
    def per_cpu(self) -> bool:
        """Whether each CPU has a value of its own."""
        return self.type in (PERCPU_HASH, PERCPU_ARRAY)


@dataclass(frozen=True, slots=True)
class Map:
    """An open map; `close` gives the descriptor back, and the kernel keeps the map while a program uses it."""

    fd: int
    shape: MapShape

    @classmethod
    def create(cls, name: str, shape: MapShape) -> Map:
        """Make a map; `name` has at most 15 characters."""
        head = struct.pack("=7I", shape.type, shape.key_size, shape.value_size, shape.max_entries, shape.flags, 0, 0)
        return cls(bpf(MAP_CREATE, head + name.encode().ljust(16, b"\0"))[0], shape)

    @classmethod
    def open(cls, map_id: int) -> tuple[str, Map]:
        """The name and the map of an id; needs CAP_SYS_ADMIN."""
        fd = bpf(MAP_GET_FD, struct.pack("=I", map_id))[0]
        info = object_info(fd, b"")
        kind, _, *sizes = struct.unpack_from("=6I", info)
        return _text(info[24:40]), cls(fd, MapShape(kind, *sizes))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)

    def get(self, key: bytes) -> bytes | None:
        """A copy of the key's value, None when there is none; of a per-CPU map, the values of all CPUs on end."""
        value = ctypes.create_string_buffer(self._size)
        try:
            self._call(MAP_LOOKUP, key, value)
        except FileNotFoundError:
            return None
        return value.raw

    def set(self, key: bytes, value: bytes | None = None) -> None:
        """Set the key's value in one step, for readers too; without a value, zero it (on every CPU)."""
        try:
            self._call(MAP_UPDATE, key, ctypes.create_string_buffer(value or b"", self._size))
        except OSError as e:
            if e.errno != errno.E2BIG:
                raise
            # The errno's own words, "argument list too long", would send the operator looking in the wrong place.
            raise OSError(e.errno, f"there is no room for more than {self.shape.max_entries} in the kernel's table") from e

    def delete(self, key: bytes) -> None:
        """Remove the key; also right when it is gone already."""
        try:
            self._call(MAP_DELETE, key, None)
        except FileNotFoundError:
            return

    def keys(self) -> Iterator[bytes]:
        """All keys, in no order; what is added or removed meanwhile may be seen or not."""
        following = ctypes.create_string_buffer(self.shape.key_size)
        key: bytes | None = None
        while True:
            try:
                self._call(MAP_NEXT_KEY, key, following)
            except FileNotFoundError:
                return
            key = following.raw
            yield key

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys with their values; what is removed meanwhile is left out."""
        for key in list(self.keys()):
            if (value := self.get(key)) is not None:
                yield key, value

    @property
    def _size(self) -> int:
        if not self.shape.per_cpu:
            return self.shape.value_size
        return -(-self.shape.value_size // 8) * 8 * possible_cpus()

    def _call(self, command: int, key: bytes | None, value: ctypes.Array[ctypes.c_char] | None) -> None:
        held = ctypes.create_string_buffer(key, len(key)) if key is not None else None
        pointers = (address(held) if held is not None else 0, address(value) if value is not None else 0)
        bpf(command, struct.pack("=I4xQQQ", self.fd, *pointers, 0))


_cpus: list[int] = []


def possible_cpus() -> int:
    """How many values an entry of a per-CPU map has. Asked of the kernel by what it writes into a buffer that is full of ones."""
    if not _cpus:
        probe = bpf(MAP_CREATE, struct.pack("=4I", PERCPU_ARRAY, 4, 8, 1))[0]
        key, values = ctypes.create_string_buffer(4), ctypes.create_string_buffer(b"\xff" * 8 * _CPUS_MAX, 8 * _CPUS_MAX)
        try:
            bpf(MAP_LOOKUP, struct.pack("=I4xQQQ", probe, address(key), address(values), 0))
        finally:
            os.close(probe)
        _cpus.append(values.raw.find(b"\xff") // 8)
    return _cpus[0]


def load_program(name: str, instructions: bytes, license_text: str) -> int:
    """Load a traffic-control program; `name` has at most 15 characters.

    Returns:
        A file descriptor that the caller owns.

    Raises:
        OSError: with the last lines of the verifier's log when it is the one that refuses.
    """
    code = ctypes.create_string_buffer(instructions, len(instructions))
    text = ctypes.create_string_buffer(license_text.encode())
    log = ctypes.create_string_buffer(1 << 22)

    def load(level: int) -> int:
        head = struct.pack("=IIQQ", _SCHED_CLS, len(instructions) // 8, address(code), address(text))
        tail = struct.pack("=IIQII16s", level, len(log) if level else 0, address(log) if level else 0, 0, 0, name.encode())
        return bpf(PROG_LOAD, head + tail)[0]

    try:
        return load(0)
    except OSError as refused:
        if refused.errno == errno.EPERM:  # for want of a capability; the verifier's own refusal is EACCES
            raise
        try:
            return load(1)
        except OSError:
            raise OSError(refused.errno, f"{refused.strerror}: {log.value[-2000:].decode(errors='replace')}") from refused


@dataclass(frozen=True, slots=True)
class ProgramInfo:
    """What the kernel tells of a program: its name (at most 15 characters) and the ids of its maps."""

    name: str
    map_ids: tuple[int, ...]


def program_info(program_id: int) -> ProgramInfo:
    """Look a program up by its id; needs CAP_SYS_ADMIN."""
    fd = bpf(PROG_GET_FD, struct.pack("=I", program_id))[0]
    try:
        ids = (ctypes.c_uint32 * _MAPS_MAX)()
        info = object_info(fd, struct.pack("=52xIQ", _MAPS_MAX, ctypes.addressof(ids)))
    finally:
        os.close(fd)
    return ProgramInfo(_text(info[64:80]), tuple(ids[: struct.unpack_from("=I", info, 52)[0]]))


def object_info(fd: int, asked: bytes) -> bytes:
    """The kernel's bpf_map_info or bpf_prog_info (first 80 bytes); `asked` is what the caller filled in of it."""
    buffer = ctypes.create_string_buffer(asked, 80)
    bpf(OBJECT_INFO, struct.pack("=IIQ", fd, len(buffer), address(buffer)))
    return buffer.raw


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode()
