"""Regular expressions of the operator.

They are RE2's: what Python's own would take years for, this engine finds in time that grows with the line, and no expression
takes much memory. One operator's typing error must not stop the device for all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hsadc.errors import BadValue

LONGEST = 500
"""Characters of an expression: what a line costs grows with them."""

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')

Test = Callable[[str], bool]
"""Whether a line has what is searched for."""


def make_test(typed: str | None, column: int) -> Test:
    """The test of an expression as it was typed; in quotes or not. None finds every line.

    Args:
        typed: the expression.
        column: where it stands in the line, for the caret.

    Raises:
        BadValue: it is no regular expression, or too long.
    """
    if typed is None:
        return lambda _: True
    text = typed.strip()
    if quoted := _QUOTED.fullmatch(text):
        text = quoted[1]
    if len(text) > LONGEST:
        raise BadValue(f"the expression has {len(text)} characters, at most {LONGEST} are possible", column)
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        search = re2.compile(text, options).search
    except re2.error as e:
        raise BadValue(f"this is not a regular expression: {e.args[0].decode()}", column) from None
    return lambda line: search(line) is not None
