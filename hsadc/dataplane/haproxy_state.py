"""How servers stand (`show servers state`), handed from one worker to the next; pure.

HAProxy lets what the last worker had overrule the new text: a port, a weight, a maintenance, TLS on or off, even when the text
has changed. So the next worker is told only what a text cannot say, whether a server was found dead or alive, and only of servers
that are still at the same address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from hsadc.dataplane.haproxy_runtime import ServerLine, servers_of

_COLUMNS: Final = re.findall(
    r"\S+",
    """
    be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change
    srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn
    srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
    """,
)
_MAINTENANCE = 0x01 | 0x02 | 0x20
"""Bits of srv_admin_state: forced, inherited, by a name that was not found. Such a server says nothing of its health."""

Row = Mapping[str, str]


def handed_over(answer: str, text: str, probed: Collection[str] = ()) -> str:
    """The file that the next worker is given.

    Args:
        answer: the last worker's to `show servers state`.
        text: the next worker's configuration file.
        probed: the paths (`backend/server`) of the servers whose health is told by us.
    """
    servers = {server.path: server for server in servers_of(text)}
    lines = [
        _line(row, server)
        for row in _rows(answer)
        if (server := servers.get(f"{row['be_name']}/{row['srv_name']}")) is not None
        and _says_something(row, server)
        and (" check " in f"{server.words} " or server.path in probed)
    ]
    return "\n".join(["1", f"# {' '.join(_COLUMNS)}", *lines]) + "\n"


def _rows(answer: str) -> Iterator[Row]:
    for line in answer.splitlines():
        words = line.split()
        if len(words) >= len(_COLUMNS) and words[0].isdecimal():
            yield dict(zip(_COLUMNS, words, strict=False))


def _says_something(row: Row, server: ServerLine) -> bool:
    bare = server.endpoint.replace("[", "").replace("]", "")
    same = bare == f"{row['srv_addr']}:{row['srv_port']}"
    return same and not server.settings.disabled and not int(row["srv_admin_state"]) & _MAINTENANCE


def _line(row: Row, server: ServerLine) -> str:
    said_by_the_text: Mapping[str, str] = {
        "srv_admin_state": "0",
        "srv_uweight": str(server.settings.weight),
        "srv_iweight": str(server.settings.weight),
        "srv_use_ssl": str(int(" ssl " in f"{server.words} ")),
        "srv_check_port": "0",
        "srv_check_addr": "-",
    }
    return " ".join(said_by_the_text.get(column, row[column]) for column in _COLUMNS)
