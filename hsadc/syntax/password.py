"""Passwords as they stand in a configuration: a scrypt hash in text form, never the password.

Supported standards: scrypt, RFC 7914. The text form is the one that passlib and others write (the PHC string format):

    $scrypt$ln=14,r=8,p=1$<salt>$<hash>

`ln` is the binary logarithm of the cost N, `r` the block size, `p` the parallelization (RFC 7914, section 2); salt and hash
are base64 (RFC 4648, section 4) without padding.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass

_LOG_COST = 14
_BLOCK_SIZE = 8
_PARALLELIZATION = 1
_SALT_BYTES = 16
_HASH_BYTES = 32
_SHORTEST_HASH_BYTES = 16
# A hash may come from another program with other parameters. What it can cost is bounded, so that a hash pasted into a
# configuration cannot stop the device at the next login.
_MAX_MEMORY_BYTES = 64 << 20
_TEXT = re.compile(r"\$scrypt\$ln=([1-9]\d?),r=([1-9]\d?),p=([1-4])\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Hash:
    """What the text form says; `salt` and `digest` are the decoded bytes."""

    log_cost: int
    block_size: int
    parallelization: int
    salt: bytes
    digest: bytes

    def derive(self, password: str) -> bytes:
        """The digest of `password` with this hash's parameters and salt, as long as `digest`."""
        return hashlib.scrypt(
            password.encode(),
            salt=self.salt,
            n=1 << self.log_cost,
            r=self.block_size,
            p=self.parallelization,
            maxmem=_MAX_MEMORY_BYTES + (1 << 20),
            dklen=len(self.digest),
        )


def hash_password(text: str) -> str:
    """Hash a password with a new random salt; takes about 50 ms and 16 MiB on purpose.

    Args:
        text: the password; its UTF-8 form is hashed.
    """
    salt = os.urandom(_SALT_BYTES)
    digest = _Hash(_LOG_COST, _BLOCK_SIZE, _PARALLELIZATION, salt, bytes(_HASH_BYTES)).derive(text)
    return f"$scrypt$ln={_LOG_COST},r={_BLOCK_SIZE},p={_PARALLELIZATION}${_encode(salt)}${_encode(digest)}"


def verify_password(hashed: str, text: str) -> bool:
    """Whether `text` is the password behind `hashed`; False when `hashed` is malformed. As slow as `hash_password`."""
    wanted = _parse(hashed)
    return wanted is not None and hmac.compare_digest(wanted.derive(text), wanted.digest)


def is_hash(text: str) -> bool:
    """Whether `text` is a hash that `verify_password` can check, as opposed to a password."""
    return _parse(text) is not None


def _parse(text: str) -> _Hash | None:
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    log_cost, block_size, parallelization = (int(match[n]) for n in (1, 2, 3))
    if 128 * block_size << log_cost > _MAX_MEMORY_BYTES or log_cost >= 16 * block_size:  # RFC 7914, section 2: N < 2^(128 r / 8)
        return None
    try:
        salt, digest = _decode(match[4]), _decode(match[5])
    except binascii.Error:
        return None
    # Half a hash, cut off by an accident, would let half of the world in.
    return _Hash(log_cost, block_size, parallelization, salt, digest) if len(digest) >= _SHORTEST_HASH_BYTES else None


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
