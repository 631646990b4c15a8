"""A lab whose device was killed leaves nothing behind, not even the namespace that the device made."""

import os

from hsadc.dataplane.hop import hop_namespace
from hsadc.lab import namespace, network
from hsadc.lab.topology import namespace_of


def test_the_hop_goes_with_the_lab():
    prefix = f"hsadc-test-{os.getpid()}-hop"
    network.create(prefix)
    hop = namespace.within(namespace_of(prefix, "adc"), hop_namespace)
    namespace.create(hop)
    network.remove(prefix)
    assert not (namespace.RUN / hop).exists()
    network.remove(prefix)
