"""The Internet checksum.

Supported standards: RFC 1071 (computing), RFC 791 (IPv4 header), RFC 2784, section 2.5 (GRE: header and payload).

    sum = one's complement sum of the 16-bit words, a last odd byte padded with zero; checksum = ~sum
"""

from __future__ import annotations


def internet_checksum(data: bytes | bytearray | memoryview) -> int:
    """The checksum of `data` (RFC 1071, section 1), whose own checksum field is zero; 0 when the field holds a right one.

    Args:
        data: any number of bytes, in network byte order.

    Returns:
        0 to 65535.
    """
    # 2**16 is 1 modulo 65535: one big number's remainder is the one's complement sum of its words, but for the two forms of zero.
    number = int.from_bytes(data) << 8 * (len(data) % 2)
    total = number % 0xFFFF
    if total == 0 and number:
        total = 0xFFFF
    return total ^ 0xFFFF
