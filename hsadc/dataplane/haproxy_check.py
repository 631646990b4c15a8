"""Have HAProxy check a generation before anything is changed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hsadc.dataplane.haproxy_binary import Binary
from hsadc.dataplane.haproxy_explain import explain
from hsadc.dataplane.haproxy_file import CONFIG, Generation, needs_capability
from hsadc.dataplane.haproxy_folder import Folder
from hsadc.dataplane.run import run
from hsadc.errors import ApplyError, Unsupported

_STEP = "check haproxy"
_WITH_CAPABILITIES = (2, 8)
_NAMESPACES = Path("/run/netns")


def check(binary: Binary, folder: Folder, new: Generation) -> None:
    """Nothing is left behind, and what is in force is not touched.

    Args:
        binary: who checks.
        folder: where a folder is made for it.
        new: what is checked.

    Raises:
        Unsupported: this HAProxy is too old for it.
        ApplyError: it is refused.
    """
    if binary.version < _WITH_CAPABILITIES and needs_capability(new.services):
        raise Unsupported(
            _STEP,
            f"HAProxy {'.'.join(map(str, binary.version))} cannot connect from clients' addresses (virtual servers without"
            " auto-snat, decrypted mirrors) unless it stays root: 2.8 or a newer one is needed",
        )
    with folder.candidate(replace(new, text=_without_missing_namespaces(new.text))) as path:
        try:
            run([str(binary.path), "-c", "-C", str(path), "-f", CONFIG])
        except ApplyError as e:
            raise ApplyError(_STEP, explain(e.cause, new.text)) from e


def _without_missing_namespaces(text: str) -> str:
    """A network namespace that is made in the same transaction is there when HAProxy starts, and not yet now."""
    return re.sub(r" namespace (\S+)", lambda m: m[0] if (_NAMESPACES / m[1]).exists() else "", text)
