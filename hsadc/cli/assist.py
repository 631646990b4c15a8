"""What the shell says while a line is being typed: `?`, TAB, menus, and where the line goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hsadc.cli.pipe import shows, split_pipes
from hsadc.cli.shell import Choice, Completion
from hsadc.errors import AmbiguousCommand, CommandError, HsadcError, IncompleteCommand, UnknownCommand
from hsadc.syntax.complete import Candidate, LiveNames, candidates, last_word
from hsadc.syntax.load import check_line
from hsadc.syntax.match import match_in, understand
from hsadc.syntax.nodes import Node
from hsadc.syntax.width import cells

_BAR = Candidate("|", "Filter what is shown, or send it elsewhere", True)
_OUTER = "The commands of the modes around this one work here, too."


class Assistant(NamedTuple):
    """Answers for a session as it stands now.

    Attributes:
        modes: the first nodes of its mode and of those around it, innermost first.
        pipe: the first node of what stands behind a bar.
        names: gives the names that exist now.
    """

    modes: Sequence[Node]
    pipe: Node
    names: LiveNames

    def help(self, line: str) -> list[str]:
        """What `?` prints: words only after a half-typed one, as IOS does, else with a line of help each.

        Raises:
            CommandError: the words before the last one cannot be.
            HsadcError: the names that exist cannot be read.
        """
        roots, part = self._part(line)
        found = self._candidates(roots, part)
        if roots is self.modes and not last_word(part) and shows(self.modes, part):
            found.append(_BAR)
        if not found:
            return ["% Unrecognized command"]
        if last_word(part) and not any(c.placeholder for c in found):
            return ["  ".join(c.word for c in found)]
        width = max(cells(c.word) for c in found)
        lines = [f"  {c.word}{' ' * (width - cells(c.word))}  {c.text}".rstrip() for c in found]
        return lines if part.strip() or len(roots) == 1 else [*lines, _OUTER]

    def choices(self, line: str) -> list[Choice]:
        """What may stand at the end of the line; nothing when the line is wrong."""
        try:
            return [Choice(*c) for c in self._candidates(*self._part(line))]
        except HsadcError:
            return []

    def complete(self, line: str) -> Completion:
        """What TAB does: the rest of the only candidate, or what all candidates begin with."""
        words = [c.word for c in self.choices(line) if not c.placeholder]
        last = last_word(self._part(line)[1])
        if not words or (not last and len(words) > 1):
            return Completion(words=tuple(words))
        common = _common_beginning(words)
        if len(words) == 1:
            return Completion(len(last), common + " ")
        if len(common) > len(last):
            return Completion(len(last), common, tuple(words))
        return Completion(words=tuple(words))

    def wrong_from(self, line: str) -> int | None:
        """Where the line goes wrong; a last word that may still become right is not wrong."""
        if not line.strip() or line.lstrip().startswith("!"):
            return None
        try:
            check_line(line)
            command, *stages = split_pipes(self.modes, line)
            match_in(self.modes, command, understand)
            for stage in stages:
                understand(self.pipe, stage)
        except (IncompleteCommand, AmbiguousCommand):
            return None
        except CommandError as e:
            last = last_word(self._part(line)[1])
            half_typed = isinstance(e, UnknownCommand) and last and e.column + len(last) == len(line)
            return None if half_typed and self.choices(line) else e.column
        return None

    def _part(self, line: str) -> tuple[Sequence[Node], str]:
        """What is being typed now: the command, or what stands behind the last bar; and where its words are looked up."""
        *before, part = split_pipes(self.modes, line)
        return ([self.pipe] if before else self.modes), part

    def _candidates(self, roots: Sequence[Node], line: str) -> list[Candidate]:
        """Of the first root; when there are none, of the others. A first word that is half typed may be one of any of them."""
        if (half := last_word(line)) and line.strip() == half:
            by_word = {c.word: c for root in reversed(roots) for c in candidates(root, line, self.names)}
            return sorted(by_word.values(), key=lambda c: (c.placeholder, c.word))
        furthest: CommandError | None = None
        for root in roots:
            try:
                if found := candidates(root, line, self.names):
                    return found
            except CommandError as e:
                furthest = e if furthest is None or e.depth > furthest.depth else furthest
        if furthest is not None:
            raise furthest
        return []


def _common_beginning(words: Sequence[str]) -> str:
    shortest, *others = sorted(words, key=len)
    for n, c in enumerate(shortest):
        if any(w[n] != c for w in others):
            return shortest[:n]
    return shortest
