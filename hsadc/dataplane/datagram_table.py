"""The table of virtual servers of type udp: what is the same for all of them, and the scripts that change it; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from hsadc.dataplane.datagram_rules import ServerRules, branches, digest
from hsadc.dataplane.nft import FAMILY

TABLE = "hsadc_datagram"

_LISTENER = "{ip}_addr . inet_service"
_PAIR = "{ip}_addr . inet_service . {ip}_addr . inet_service"
_CONTAINERS: Mapping[str, tuple[str, str]] = {
    "listeners": ("map", f"{_LISTENER} : verdict"),
    **dict.fromkeys(("in", "out", "flows", "refused"), ("map", f"{_LISTENER} : counter")),
    **dict.fromkeys(("target_in", "target_out", "target_flows"), ("map", f"{_PAIR} : counter")),
    "snat": ("set", _LISTENER),
}
"""Kind and type by name, for one family."""

HOOKS: Mapping[str, tuple[str, str, int] | None] = {
    "prerouting": ("nat", "prerouting", -100),
    "input": ("filter", "input", 0),
    "forward": ("filter", "forward", 0),
    "count_in": None,
    "count_out": None,
    "postrouting": ("nat", "postrouting", 100),
}
"""The chains that are not a virtual server's: type, hook and priority."""

_NOTHING = ServerRules("", (), {}, frozenset())
_FAMILIES = ((4, "ip"), (6, "ip6"))
_TO = "ct original {ip} daddr . ct original proto-dst"
_BETWEEN = _TO + " . ct reply {ip} saddr . ct reply proto-src"


def base_rules(closed: Collection[int]) -> Mapping[str, list[str]]:
    """The rules of the chains that are not a virtual server's.

    Args:
        closed: families of which nothing else may be forwarded: it was not before we needed it.
    """

    def each(*rules: str) -> list[str]:
        return [rule.format(ip=ip, n=number) for number, ip in _FAMILIES for rule in rules]

    def count(way: str) -> list[str]:
        return each(
            f"meta l4proto udp counter name {_BETWEEN} map @target_{way}{{n}}",
            f"meta l4proto udp counter name {_TO} map @{way}{{n}} accept",
        )

    return {
        "prerouting": each("{ip} daddr . udp dport vmap @listeners{n}"),
        "input": each(
            "ct direction original counter name {ip} daddr . udp dport map @refused{n} reject with icmpx port-unreachable"
        ),
        "forward": [
            "meta l4proto udp ct status dnat ct direction original jump count_in",
            "meta l4proto udp ct status dnat ct direction reply jump count_out",
            "ct status dnat ct state related accept",  # ICMP errors about such flows
            *(f"meta nfproto ipv{number} drop" for number in sorted(closed)),
        ],
        "count_in": count("in"),
        "count_out": count("out"),
        "postrouting": each(
            f"meta l4proto udp counter name {_BETWEEN} map @target_flows{{n}}",
            f"meta l4proto udp counter name {_TO} map @flows{{n}}",
            f"meta l4proto udp {_TO} @snat{{n}} masquerade",
        ),
    }


def base_script(closed: Collection[int]) -> str:
    """Make the table and all that is not a virtual server's, or set it right; virtual servers and counters stay."""
    return "\n".join([f"table {FAMILY} {TABLE} {{", *_declarations(), "}", *_base_rules(closed)]) + "\n"


def _declarations() -> Iterator[str]:
    for number, ip in (("4", "ipv4"), ("6", "ipv6")):
        for name, (kind, type_) in _CONTAINERS.items():
            yield f"{kind} {name}{number} {{ type {type_.format(ip=ip)}; }}"
    for name, hook in HOOKS.items():
        way = "" if hook is None else "type {} hook {} priority {}; policy accept; ".format(*hook)
        yield f"chain {name} {{ {way}}}"


def _base_rules(closed: Collection[int]) -> Iterator[str]:
    for chain, rules in base_rules(closed).items():
        yield f"flush chain {FAMILY} {TABLE} {chain}"
        for rule in rules:
            yield _rule(chain, rule)


def forward_script(closed: Collection[int]) -> str:
    """Only what `closed` decides."""
    chain = "forward"
    rules = [_rule(chain, rule) for rule in base_rules(closed)[chain]]
    return "\n".join([f"flush chain {FAMILY} {TABLE} {chain}", *rules]) + "\n"


def change_script(old: ServerRules | None, new: ServerRules | None) -> str:
    """Make a virtual server's part from `old` to `new`; None is nothing. What is the same stays, counters too."""
    old, new = old or _NOTHING, new or _NOTHING
    gone = [key for key, value in old.elements.items() if new.elements.get(key) != value]
    come = {key: value for key, value in new.elements.items() if old.elements.get(key) != value}
    lines = [
        *(_command("delete element", name, f"{{ {key} }}") for name, key in gone),
        *(_command("add counter", name) for name in sorted(new.counters - old.counters)),
        *(_removal(old.chain) if old.chain and not new.chain else _chain(old, new)),
        *(_command("add element", name, f"{{ {key}{_valued(value)} }}") for (name, key), value in come.items()),
        *(_command("delete counter", name) for name in sorted(old.counters - new.counters)),
    ]
    return "".join(f"{line}\n" for line in lines)


def next_branch(old: ServerRules | None, new: ServerRules) -> str:
    """The branch that packets are led to after `change_script`."""
    branch = "" if old is None else old.branch
    if not new.rule or (old is not None and (old.chain, old.digests) == (new.chain, new.digests)):
        return branch
    a, b = branches(new.chain)
    return b if branch == a else a


def _chain(old: ServerRules, new: ServerRules) -> Iterator[str]:
    if (old.chain, old.digests) == (new.chain, new.digests):
        return
    if not old.chain:
        yield from (_command("add chain", name) for name in (new.chain, *branches(new.chain)))
    yield _command("flush chain", new.chain)
    if new.rule:
        branch = next_branch(old, new)
        yield _command("flush chain", branch)
        yield _rule(branch, new.rule)
        yield _command("add rule", new.chain, f"goto {branch}")


def _removal(chain: str) -> Iterator[str]:
    names = (chain, *branches(chain))
    yield from (_command("flush chain", name) for name in names)
    yield from (_command("delete chain", name) for name in names)


def _valued(value: str) -> str:
    verdict = value.startswith("goto ")
    return "" if not value else f" : {value}" if verdict else f' : "{value}"'


def _command(words: str, name: str, rest: str = "") -> str:
    return f"{words} {FAMILY} {TABLE} {name} {rest}".rstrip()


def _rule(chain: str, rule: str) -> str:
    return _command("add rule", chain, f'{rule} comment "{digest(rule)}"')
