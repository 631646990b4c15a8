"""HAProxy: the text of its configuration file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HaproxyIntent:
    """The one HAProxy that serves all virtual servers of types tcp and http.

    Attributes:
        services: the configuration's text from the first frontend on; what stands before it (paths, user, limits) is the driver's.
    """

    services: str

    @property
    def key(self) -> str:
        """There is one."""
        return "haproxy"
