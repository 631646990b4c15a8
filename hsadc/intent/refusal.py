"""What no change may bring about, and a device lives with where it comes about by itself.

Time passes and files change: the device must come up again although a certificate has expired or a file is gone meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from hsadc.errors import ConfigError
from hsadc.model.title import title


@dataclass(frozen=True, slots=True)
class Refusal:
    """One such thing.

    Attributes:
        key: the same as long as it is the same thing, however it is worded.
        path: the object that is wrong.
        why: what is wrong with it.
        server: the virtual server that cannot be in force with it; None when it works all the same.
    """

    key: tuple[str, ...]
    path: str
    why: str
    server: str | None = None

    @property
    def error(self) -> ConfigError:
        """What a change that brings it about is refused with."""
        return ConfigError(self.path, self.why)

    @property
    def warning(self) -> str:
        """The line for a device that lives with it."""
        return str(self.error) if self.server is None else f"{self.error}; {title('virtual_server', self.server)} is not in force"
