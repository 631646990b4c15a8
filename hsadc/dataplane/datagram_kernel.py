"""The kernel's side of virtual servers of type udp: the table as it was last written or read, and forwarding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hsadc.dataplane import datagram_observed, nft
from hsadc.dataplane.datagram_observed import Table
from hsadc.dataplane.datagram_rules import ServerRules
from hsadc.dataplane.datagram_table import TABLE, base_script, change_script, forward_script, next_branch
from hsadc.dataplane.forwarding import Forwarding
from hsadc.errors import ApplyError, Unsupported

_FAMILIES = (4, 6)


class DatagramKernel:
    """Writes the table. One thread at a time may use it.

    Attributes:
        servers: the virtual servers' parts of the table, by number.
        right: whether all the rest of the table is as it must be.
    """

    def __init__(self, forwarding: Forwarding) -> None:
        """Nothing is touched, and nothing is known of the table yet."""
        self._forwarding = forwarding
        self._closed: frozenset[int] = frozenset()  # families that were not forwarded before
        self._there = False
        self.servers: dict[int, ServerRules] = {}
        self.right = False

    def read(self) -> Table | None:
        """The table as it is now, which is known from now on; None when there is none.

        Raises:
            ApplyError, OSError: the system refuses.
        """
        table = datagram_observed.read()
        self._closed = frozenset(f for f in _FAMILIES if self._forwarding.ours(f))
        self._there = table is not None
        self.servers = {} if table is None else dict(table.servers)
        self.right = table is not None and table.right(self._closed)
        return table

    @property
    def untouched(self) -> bool:
        """Whether nothing of ours is there, as far as is known."""
        return not self._there and not self._closed

    def forwards(self, family: int) -> bool:
        """Whether packets of a family are forwarded now, as they must be.

        Raises:
            OSError: the kernel does not have the family.
        """
        return self._forwarding.on(family)

    def write(self, changed: Mapping[int, ServerRules | None], families: frozenset[int]) -> None:
        """Change the parts of some virtual servers, all at once; None removes one.

        Args:
            changed: the parts by number.
            families: of all virtual servers afterwards.

        Raises:
            ApplyError, OSError: the system refuses; all is as before.
        """
        before, closed = {number: self.servers.get(number) for number in changed}, self._closed
        # What is forwarded for our sake is never more than our flows: the rule is there first, and goes last.
        needless = closed - families
        for family in needless:
            self._forwarding.put_back(family)
        try:
            self._write(changed, frozenset(f for f in families if self._forwarding.ours(f) or not self._forwarding.on(f)))
        except ApplyError:
            self._switch_on(needless)
            raise
        try:
            self._switch_on(families)
        except OSError:
            for family in families - closed:
                self._forwarding.put_back(family)
            self._write(before, closed)
            raise

    def _switch_on(self, families: Iterable[int]) -> None:
        for family in families:
            self._forwarding.switch_on(family)

    def _write(self, changed: Mapping[int, ServerRules | None], closed: frozenset[int]) -> None:
        written = {n: new and replace(new, branch=next_branch(self.servers.get(n), new)) for n, new in changed.items()}
        after = {n: rules for n, rules in {**self.servers, **written}.items() if rules is not None}
        if not after:
            nft.delete_table(TABLE)
            self.servers, self._closed, self._there, self.right = {}, frozenset(), False, False
            return
        script = "" if closed == self._closed else forward_script(closed)
        script = script if self.right else base_script(closed)
        script += "".join(change_script(self.servers.get(number), rules) for number, rules in changed.items())
        if script:
            try:
                nft.apply(script)
            except Unsupported:
                raise
            except ApplyError:
                after = self._rebuild(after, closed)
        self.servers, self._closed, self._there, self.right = after, closed, True, True

    def _rebuild(self, servers: Mapping[int, ServerRules], closed: frozenset[int]) -> dict[int, ServerRules]:
        """Somebody else has changed the table meanwhile: all of it is made anew, in one transaction, too.

        Returns:
            What is in it then: those of `servers` whose rule is known, and not only that there is one.
        """
        known = {n: rules for n, rules in servers.items() if rules.rule or not rules.digests}
        fresh = f"add table {nft.FAMILY} {TABLE}\ndelete table {nft.FAMILY} {TABLE}\n{base_script(closed)}"
        nft.apply(fresh + "".join(change_script(None, rules) for rules in known.values()))
        return {n: replace(rules, branch=next_branch(None, rules)) for n, rules in known.items()}
