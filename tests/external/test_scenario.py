"""The lab's demonstrations with TLS: the analyzer reads what clients and virtual server say inside of it."""

from __future__ import annotations

import pytest

from hsadc.lab.scenario import SCENARIOS
from tests.external.conftest import hsadc

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("scenario", [s for s in SCENARIOS.values() if s.client_tls], ids=lambda s: s.name)
def test_the_demonstration_is_right(scenario):
    done = hsadc("lab", "demo", "--scenario", scenario.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything is right: the analyzer got every byte, once, and nothing else." in done.stdout
    assert f"> {scenario.copied_port}  flags PA" in done.stdout
    assert "HTTP  GET /bytes/0 HTTP/1.1  Host: 192.168.131.2:443" in done.stdout
    assert "HTTP  HTTP/1.1 200 OK  X-Real-Server: rs" in done.stdout
