"""Tables of nftables that are as they are written here, or are made again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from hsadc.dataplane import nft
from hsadc.errors import ApplyError, Unsupported


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain at a hook of the kernel.

    Attributes:
        name: its name.
        place: `hook prerouting priority raw` and the like.
        rules: in the words of nft(8).
    """

    name: str
    place: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FixedTable:
    """A table of family inet. Each rule bears a comment that follows from the whole, so that any change of it is seen.

    Attributes:
        name: its name.
        chains: what is in it.
        needs: what the kernel must have for it, for the error that says that it has not.
    """

    name: str
    chains: tuple[Chain, ...]
    needs: str

    def exists(self) -> bool:
        """Whether there is any table of this name."""
        return nft.table(self.name) is not None

    def is_right(self) -> bool:
        """Whether it is there with all its rules, in their order, and no others."""
        found = nft.table(self.name) or ()
        chains = [p["name"] for kind, p in found if kind == "chain"]
        rules = [(p["chain"], p.get("comment")) for kind, p in found if kind == "rule"]
        return chains == [c.name for c in self.chains] and rules == self._comments()

    def make(self) -> None:
        """Put it in the place of any table of this name, between one packet and the next.

        Raises:
            Unsupported: nft is not installed, or the kernel lacks something.
        """
        try:
            nft.apply(self._script())
        except Unsupported:
            raise
        except ApplyError as e:
            raise Unsupported(f"make nftables table {self.name}", f"this kernel has not {self.needs}: {e.cause}") from e

    def remove(self) -> None:
        """Remove any table of this name; also right when it is gone already."""
        nft.delete_table(self.name)

    def _script(self) -> str:
        chains = "\n".join(self._chain(chain) for chain in self.chains)
        return f"add table inet {self.name}\ndelete table inet {self.name}\ntable inet {self.name} {{\n{chains}\n}}\n"

    def _chain(self, chain: Chain) -> str:
        rules = "\n".join(f'{rule} comment "{_comment(chain.rules, n)}"' for n, rule in enumerate(chain.rules))
        return f"chain {chain.name} {{\ntype filter {chain.place}; policy accept;\n{rules}\n}}"

    def _comments(self) -> list[tuple[str, str]]:
        return [(chain.name, _comment(chain.rules, n)) for chain in self.chains for n in range(len(chain.rules))]


def _comment(rules: Sequence[str], place: int) -> str:
    digest = hashlib.sha256("\n".join(rules).encode()).hexdigest()
    return f"hsadc {place + 1} {digest[:8]}"
