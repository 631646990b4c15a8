"""How flows are shared among the targets of a tier: the map from a number to a target, and where the number comes from; pure.

The kernel computes a number for each flow: the next one (`numgen inc`), any (`numgen random`) or one from the client's address
(`jhash`). The numbers are shared among the targets in proportion to their weights.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache

from hsadc.intent.datagram import DatagramTarget

_SEED = 0x68736164
"""Of the hash: the same after a restart, or clients would move."""
_BUCKETS = 1024


def share(load_balance: str, targets: Sequence[DatagramTarget]) -> str:
    """The expression of nft(8) that gives a target for a flow: its address and port.

    Args:
        load_balance: `weighted-round-robin`, `round-robin`, `random` or `source-hash`.
        targets: those that take flows, at least one, all of one family.
    """
    match load_balance:
        case "source-hash":
            family = "ip" if targets[0].address.version == 4 else "ip6"
            return _expression(f"jhash {family} saddr mod {_BUCKETS} seed {_SEED:#x}", _hashed(targets))
        case "random":
            order = _in_a_row(targets)
            return _expression(f"numgen random mod {len(order)}", order)
        case "round-robin":
            return _expression(f"numgen inc mod {len(targets)}", targets)
        case _:
            order = _in_turn(targets)
            return _expression(f"numgen inc mod {len(order)}", order)


def _expression(number: str, order: Sequence[DatagramTarget]) -> str:
    # One element for each number and no ranges: a set of ranges is empty for a moment after the transaction that brings it.
    return f"{number} map {{ {', '.join(f'{n} : {target.address} . {target.port}' for n, target in enumerate(order))} }}"


def _parts(targets: Sequence[DatagramTarget]) -> list[int]:
    """The smallest whole numbers in proportion to the weights."""
    divisor = math.gcd(*(t.weight for t in targets))
    return [t.weight // divisor for t in targets]


def _in_a_row(targets: Sequence[DatagramTarget]) -> list[DatagramTarget]:
    return [t for t, parts in zip(targets, _parts(targets), strict=True) for _ in range(parts)]


def _in_turn(targets: Sequence[DatagramTarget]) -> list[DatagramTarget]:
    """Each as often as its weight says, and as evenly spread as can be: nobody gets a burst."""
    places = [((n + 0.5) / parts, i) for i, parts in enumerate(_parts(targets)) for n in range(parts)]
    return [targets[i] for _, i in sorted(places)]


def _hashed(targets: Sequence[DatagramTarget]) -> list[DatagramTarget]:
    """For each bucket the target with the highest score there (rendezvous hashing): when one goes, only its own clients move."""
    scores = [_scores(f"{t.address} {t.port}", t.weight) for t in targets]
    return [targets[max(range(len(targets)), key=lambda i: scores[i][bucket])] for bucket in range(_BUCKETS)]


@lru_cache(maxsize=4096)
def _scores(name: str, weight: int) -> tuple[float, ...]:
    """A target's score in each bucket; it is the highest of all in a part of them that is in proportion to its weight."""
    return tuple(-weight / math.log(_uniform(f"{bucket} {name}")) for bucket in range(_BUCKETS))


def _uniform(text: str) -> float:
    """A number between 0 and 1, both excluded, that is always the same for a text."""
    return (int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest()) + 0.5) / (1 << 48)
