"""What the ADC is there for in a demonstration, on the article's network."""

from __future__ import annotations

from dataclasses import dataclass

from hsadc.lab.compare import Route
from hsadc.lab.topology import ADC, ANALYZER, CLIENT

# The ADC sends with 64, and one router is in between.
_TTL = 63


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the samples, and what stands around it.

    Attributes:
        name: as the command line has it.
        sample: the ADC's configuration, a file of the samples.
        port: the virtual server's.
        copied_port: the virtual server's in the copies.
        real_port: the real servers'.
        client_tls: whether clients speak TLS.
        server_tls: whether the real servers do.
    """

    name: str
    sample: str
    port: int
    copied_port: int
    real_port: int
    client_tls: bool = False
    server_tls: bool = False

    @property
    def url(self) -> str:
        """Where clients send their requests."""
        return f"{'https' if self.client_tls else 'http'}://{ADC}:{self.port}/"

    @property
    def route(self) -> Route:
        """The way that copies must take, and whose they must be."""
        return Route(source=ADC, destination=ANALYZER, ttl=_TTL, client=CLIENT, server=(ADC, self.copied_port))


ARTICLE = Scenario("article", "article.cfg", port=8087, copied_port=8087, real_port=80)
"""HTTP, as the article has it."""
SSL_OFFLOAD = Scenario("ssl-offload", "ssl-offload.cfg", port=443, copied_port=80, real_port=80, client_tls=True)
"""TLS ends at the ADC."""
SSL_PROXY = Scenario("ssl-proxy", "ssl-proxy.cfg", port=443, copied_port=443, real_port=443, client_tls=True, server_tls=True)
"""TLS on both sides of the ADC."""

SCENARIOS = {s.name: s for s in (ARTICLE, SSL_OFFLOAD, SSL_PROXY)}
