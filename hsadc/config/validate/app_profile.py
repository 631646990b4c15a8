"""Application profiles: edits of headers are whole."""

from __future__ import annotations

from collections.abc import Iterator

from hsadc.config.change import Change
from hsadc.config.validate.found import Found, conflict, wrong


def edits(change: Change) -> Iterator[Found]:
    """What is inserted or replaced has a value, what is removed has none."""
    for name, profile in change.changed("app_profile").items():
        for edit in profile.headers.values():
            if edit.action != "remove" and not edit.value:
                yield wrong("app_profile", name, f"{edit} has no value: {edit} VALUE")
            elif edit.action == "remove" and edit.value is not None:
                yield conflict("app_profile", name, f"{edit} takes out all headers of that name, it has no value")
