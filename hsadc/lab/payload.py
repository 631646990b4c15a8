"""Bodies that give themselves away: every 16 bytes say who sent them and where in the body they stand."""

from __future__ import annotations

_BLOCK = 16


def body(sender: str, size: int) -> bytes:
    """The body of `size` bytes of a sender, whose name has at most 4 characters for the blocks to be 16 bytes long."""
    blocks = (f"{sender:4} {offset:010d}\n".encode() for offset in range(0, size, _BLOCK))
    return b"".join(blocks)[:size]
