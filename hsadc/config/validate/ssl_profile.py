"""SSL profiles: their versions leave one to speak."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict


def versions(change: Change) -> Iterator[Found]:
    """The newest version is not older than the oldest, and there are ciphers for each."""
    for name, profile in change.changed("ssl_profile").items():
        # The words of versions have the order of the versions.
        if profile.max_version is not None and profile.max_version < profile.min_version:
            why = f"its max-version {profile.max_version} is older than its min-version {profile.min_version}"
            yield conflict("ssl_profile", name, why)
        elif profile.min_version < "tlsv1.2" and profile.cipher is None:
            why = f"none of the default ciphers is for {profile.min_version}: name some with cipher, too"
            yield conflict("ssl_profile", name, why)
