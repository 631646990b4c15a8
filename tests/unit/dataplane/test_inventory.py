"""Which devices are ports, on machines that a test cannot make."""

import pytest

from hsadc.dataplane.inventory import observe_inventory
from hsadc.dataplane.netlink import Link
from hsadc.dataplane.originals import Originals


class Machine:
    """Answers as a socket would, for links of these kinds."""

    def __init__(self, *kinds):
        self.kinds = kinds

    def links(self):
        return tuple(Link(n, f"dev{n}", 1500, True, True, True, kind) for n, kind in enumerate(self.kinds, 1))

    def addresses(self):
        return ()

    def dump(self, kind, **fields):
        """No rules of policy routing."""
        return ()


@pytest.mark.parametrize(
    ("kinds", "ports"),
    [
        ((None, "veth", None, "bridge"), ["dev1", "dev3"]),
        (("veth", "bridge", "veth", "vlan"), ["dev1", "dev3"]),
        (("bridge", "bond"), []),
        ((), []),
    ],
)
def test_ports_are_the_hardware_or_else_the_ends_of_virtual_cables(tmp_path, kinds, ports):
    inventory = observe_inventory(Machine(*kinds), Originals(tmp_path / "originals.json", "this"))
    assert [d.name for d in inventory.devices if d.physical] == ports
    assert len(inventory.devices) == len(kinds)
