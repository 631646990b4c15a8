"""Filters in the words of libpcap (pcap-filter(7)), compiled for the kernel.

libpcap is the system's, called by the bindings that Scapy has. Its programs are classic BPF: an array of struct sock_filter
(code, jt, jf, k; 8 bytes each, in the machine's byte order) of <linux/filter.h>.
"""

from __future__ import annotations

import ctypes
from typing import Any

from hsadc.errors import ApplyError, ConfigError, Unsupported

_RIGHT = "it must be an expression as tcpdump takes it, such as `tcp port 80 and host 10.0.0.7`"
SNAPLEN = 262_144
"""Bytes that are kept of a packet, at most; no device hands over larger ones."""


def compile_filter(device: str, expression: str) -> bytes:
    """Compile an expression for the packets of a device that exists; needs root.

    It is opened for it, and not only asked for Ethernet in general: for a socket of Linux libpcap compiles `vlan` in another
    way, as the kernel has taken the tag out of the packet there.

    Raises:
        ConfigError: libpcap does not understand the expression, or it cannot be told from others by a filter.
        Unsupported: there is no libpcap.
        ApplyError: the device cannot be opened.
    """
    pcap = _library()
    refusal = ctypes.create_string_buffer(pcap.PCAP_ERRBUF_SIZE)
    handle = pcap.pcap_open_live(device.encode(), SNAPLEN, 0, 0, refusal)
    if not handle:
        raise ApplyError(f"capture on {device}", refusal.value.decode(errors="replace"))
    try:
        program = pcap.bpf_program()
        if pcap.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, 0xFFFFFFFF) != 0:
            words = pcap.pcap_geterr(handle).decode(errors="replace")
            raise ConfigError(f'filter "{expression}"', f"{words}; {_RIGHT}")
        try:
            return ctypes.string_at(program.bf_insns, program.bf_len * ctypes.sizeof(program.bf_insns._type_))
        finally:
            pcap.pcap_freecode(ctypes.byref(program))
    finally:
        pcap.pcap_close(handle)


def _library() -> Any:
    """Scapy's bindings of libpcap: its small module alone, as all of Scapy takes a second to import."""
    try:
        from scapy.libs import winpcapy
    except OSError as e:
        raise Unsupported("compile a filter", "libpcap is missing: install the Debian package libpcap0.8") from e
    return winpcapy
