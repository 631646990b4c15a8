"""Reads a compiled BPF object: programs, map definitions and where programs refer to maps.

Supported standards: ELF-64, little-endian, machine EM_BPF (247), relocations R_BPF_64_64 (the kernel's documentation, "BPF LLVM
Relocations").

    section             holds
    hsadc_*             one program, 8 bytes an instruction
    .relhsadc_*         where it refers to maps
    maps                definitions of five 32-bit words: type, key size, value size, entries, flags
    license             text
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from hsadc.dataplane.bpf.syscall import MapShape
from hsadc.errors import WireError

_EM_BPF, _SHT_SYMTAB, _SHT_REL, _R_BPF_64_64, _PSEUDO_MAP_FD = 247, 2, 9, 1, 1
_PREFIX = "hsadc_"


@dataclass(frozen=True, slots=True)
class ProgramCode:
    """Instructions, and for each reference to a map the byte offset of the instruction and the map's name."""

    instructions: bytes
    references: tuple[tuple[int, str], ...]

    def link(self, descriptors: Mapping[str, int]) -> bytes:
        """The instructions with the maps' file descriptors filled in."""
        code = bytearray(self.instructions)
        for offset, name in self.references:
            code[offset + 1] = code[offset + 1] & 0x0F | _PSEUDO_MAP_FD << 4
            struct.pack_into("<i", code, offset + 4, descriptors[name])
        return bytes(code)


@dataclass(frozen=True, slots=True)
class BpfObject:
    """A compiled object; programs are keyed by their section's name."""

    programs: Mapping[str, ProgramCode]
    maps: Mapping[str, MapShape]
    license: str


@dataclass(frozen=True, slots=True)
class _Section:
    name: str
    type: int
    data: bytes
    link: int
    info: int


def decode(blob: bytes) -> BpfObject:
    """Take an object file apart.

    Raises:
        WireError: it is not a BPF object, is cut off, or has a relocation other than to a map.
    """
    try:
        if blob[:6] != b"\x7fELF\x02\x01" or struct.unpack_from("<H", blob, 18)[0] != _EM_BPF:
            raise WireError("not a 64-bit little-endian BPF object")
        return _decode(_sections(blob))
    except (struct.error, IndexError, ValueError) as e:
        raise WireError(f"damaged BPF object: {e}") from e


def _sections(blob: bytes) -> list[_Section]:
    (table,) = struct.unpack_from("<Q", blob, 40)
    size, count, names = struct.unpack_from("<HHH", blob, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", blob, table + i * size) for i in range(count)]
    data = [blob[h[4] : h[4] + h[5]] for h in headers]
    return [_Section(_string(data[names], h[0]), h[1], body, h[6], h[7]) for h, body in zip(headers, data, strict=True)]


def _string(table: bytes, offset: int) -> str:
    return table[offset : table.index(b"\0", offset)].decode()


def _symbols(sections: list[_Section]) -> list[tuple[str, int, int]]:
    """Name, section index and value of each symbol."""
    table = next(s for s in sections if s.type == _SHT_SYMTAB)
    strings = sections[table.link].data
    return [(_string(strings, name), index, value) for name, _, _, index, value, _ in struct.iter_unpack("<IBBHQQ", table.data)]


def _decode(sections: list[_Section]) -> BpfObject:
    symbols = _symbols(sections)
    references: dict[int, list[tuple[int, str]]] = {}
    for section in sections:
        if section.type == _SHT_REL and sections[section.info].name.startswith(_PREFIX):
            references[section.info] = _references(section, symbols)
    programs = {
        s.name: ProgramCode(s.data, tuple(references.get(i, ()))) for i, s in enumerate(sections) if s.name.startswith(_PREFIX)
    }
    definitions = next(i for i, s in enumerate(sections) if s.name == "maps")
    maps = {
        name: MapShape(*struct.unpack_from("<5I", sections[definitions].data, value))
        for name, index, value in symbols
        if index == definitions and name not in ("", "maps")
    }
    text = next(s.data for s in sections if s.name == "license")
    return BpfObject(programs, maps, _string(text, 0))


def _references(section: _Section, symbols: list[tuple[str, int, int]]) -> list[tuple[int, str]]:
    found = []
    for offset, info in struct.iter_unpack("<QQ", section.data):
        name = symbols[info >> 32][0]
        if info & 0xFFFFFFFF != _R_BPF_64_64:
            raise WireError(
                f"relocation of type {info & 0xFFFFFFFF} to {name!r}: the program calls a function that was not inlined"
            )
        found.append((offset, name))
    return found
