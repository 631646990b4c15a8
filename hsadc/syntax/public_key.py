"""Public keys in OpenSSH's one-line form: `TYPE BASE64 [COMMENT]`.

Supported standards: the key is the blob of RFC 4253, section 6.6: fields that begin with their length in 4 bytes, network byte
order; the first one is the type again.
"""

from __future__ import annotations

import binascii


def is_public_key(text: str) -> bool:
    """Whether a line has the form of a public key, and all of it; whether the type is known is for who logs in with it to say."""
    kind, _, rest = text.partition(" ")
    try:
        fields = _fields(binascii.a2b_base64(rest.split(" ")[0], strict_mode=True))
        return len(fields) > 1 and fields[0] == kind.encode()
    except ValueError:  # half a key; or what is no text: a lone surrogate cannot be encoded
        return False


def _fields(blob: bytes) -> list[bytes]:
    fields = []
    while blob:
        end = 4 + int.from_bytes(blob[:4], "big")
        if len(blob) < end:
            raise ValueError("cut off")
        fields.append(blob[4:end])
        blob = blob[end:]
    return fields
