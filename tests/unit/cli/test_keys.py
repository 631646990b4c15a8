from __future__ import annotations

import pytest

from hsadc.cli.keys import Key, Keys


class TestKeys:
    @pytest.mark.parametrize("size", [1, 2, 3, 100])
    def test_are_the_same_however_they_arrive(self, size):
        typed = "abc\x1b[A\x1b[1;5D\x1b[1;2D\x1bOH\x1b[3~?\x16?\x03déf\x1b[200~x\x1b[201~\r\n\r\0\n\x1bb\x1b\x7f\x1bxy\tz\r"
        keys = Keys()
        found: list[Key | str] = []
        for start in range(0, len(typed), size):
            keys.feed(typed[start : start + size])
            while (key := keys.next()) is not None:
                found += key if isinstance(key, str) else [key]
        assert found == [
            *"abc", Key.UP, Key.WORD_LEFT, Key.LEFT, Key.HOME, Key.DELETE,
            Key.HELP, "?", Key.INTERRUPT, *"déf", Key.UNKNOWN, "x", Key.UNKNOWN,
            Key.ENTER, Key.ENTER, Key.ENTER, Key.WORD_LEFT, Key.KILL_WORD, Key.UNKNOWN, "y", Key.TAB, "z", Key.ENTER,
        ]  # fmt: skip

    def test_a_run_of_text_can_be_taken_apart(self):
        keys = Keys()
        keys.feed("ab")
        assert [keys.next(single=True), keys.next(single=True), keys.next(single=True)] == ["a", "b", None]

    @pytest.mark.parametrize("beginning", ["\x1b", "\x1b[", "\x16"])
    def test_a_broken_sequence_does_not_swallow_enter(self, beginning):
        keys = Keys()
        keys.feed(f"a{beginning}\r")
        assert [keys.next(), keys.next(), keys.next(), keys.next()] == ["a", Key.UNKNOWN, Key.ENTER, None]

    def test_an_endless_sequence_is_not_kept(self):
        keys = Keys()
        keys.feed("\x1b[" + "1" * 100)
        assert keys.next() is Key.UNKNOWN
