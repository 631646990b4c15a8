"""`show online`, `show admin`, `show history`: who may use the device, and who does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from hsadc.cli.gate import DEFAULT_USER
from hsadc.cli.show.shown import Shown, shown_table, timestamp
from hsadc.cli.show.table import Columns, Row, table

if TYPE_CHECKING:
    from hsadc.cli.session import Session


def do_show_online(session: Session) -> Shown:
    """The logins that have not ended; a `*` stands before this one."""
    rows = [_login(other, other is session) for other in session.logins.online()]
    return shown_table("logins", _ONLINE, rows, session.width)


def _login(session: Session, this: bool) -> Row:
    return {
        "user": session.login.user,
        "via": session.login.via,
        "host": session.login.host or None,
        "since": timestamp(session.since),
        "idle_s": int(time.monotonic() - session.last_used_s),
        "mode": session.mode,
        "batch": session.login.batch,
        "this": this,
    }


_ONLINE: Columns = {
    "User": lambda row: f"{'*' if row['this'] else ' '} {row['user'] or '-'}",
    "Via": "via",
    "Host": "host",
    "Since": "since",
    "Idle s": "idle_s",
    "Mode": lambda row: "batch" if row["batch"] else row["mode"],
}


def do_show_admin(session: Session) -> Shown:
    """The administrators, and how each may prove who he is."""
    admins = [
        {"name": a.name, "password": a.password is not None, "ssh_keys": len(a.ssh_keys)}
        for a in session.device.running.admin_user.values()
    ]
    if not admins:
        nobody = (
            f"No administrator is configured: {DEFAULT_USER} may log in from this machine, with the password that is documented"
        )
        return Shown({"admins": []}, (nobody,))
    return Shown({"admins": admins}, table(_ADMIN, admins, session.width))


_ADMIN: Columns = {
    "Administrator": "name",
    "Password": lambda row: "set" if row["password"] else None,
    "SSH keys": "ssh_keys",
}


def do_show_history(session: Session) -> Shown:
    """What this user has typed, oldest line first; lines that may hold a password are not kept."""
    lines = session.history
    return Shown({"lines": list(lines)}, lines)
