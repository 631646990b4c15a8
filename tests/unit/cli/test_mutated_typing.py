"""Whatever is typed, and whichever keys are pressed, a session answers, and never with an internal error."""

from __future__ import annotations

import pytest

from hsadc.cli.editor import Act, Editor
from hsadc.cli.session import Session
from hsadc.cli.shell import Login
from hsadc.syntax.grammar import load_grammar
from tests.unit.config.memory import adc
from tests.unit.syntax.mutations import FUZZ_LINES, Mutator

LINES_OF_A_DEVICE = 300
KEYS = [
    "\r",
    "\t",
    "?",
    "\b",
    "\x7f",
    "\x1b[A",
    "\x1b[D",
    "\x1b[3~",
    "\x1b",
    "\x16",
    "\x1a",
    "\x03",
    "\x15",
    "\x17",
    "\x0c",
    "\x10",
    "\x0b",
]


@pytest.fixture(autouse=True)
def quick(monkeypatch, tmp_path):
    """Passwords are not hashed, a command that writes a file writes it elsewhere, and no packet is sent."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("hsadc.syntax.password.hash_password", lambda _: "$scrypt$ln=14,r=8,p=1$U29k$cCO9yzr9c0hGHNBs2Dkf2Q")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("batch", [False, True])
def test_whatever_is_typed_is_answered(tmp_path, batch):
    mutator = Mutator(3 + batch, load_grammar())
    session = Session(adc(tmp_path))
    for n in range(FUZZ_LINES // 2):
        device = adc(tmp_path) if n % LINES_OF_A_DEVICE == 0 else session.device
        if n % LINES_OF_A_DEVICE == 0 or session.closed:
            session = Session(device, Login(batch=batch))
            session.run("configure")
        line = mutator.line(mutator.random.choice(("config", "exec", mutator.random.choice(mutator.modes))))
        if mutator.random.random() < 0.1:
            line += f" | {mutator.line('pipe')}"
        assert all(session.help(line)), line
        session.choices(line)
        completion = session.complete(line)
        assert completion.erase <= len(line), line
        wrong = session.wrong_from(line)
        assert wrong is None or 0 <= wrong <= len(line), line
        reply = session.run(line)
        assert "internal error" not in "".join(reply.lines), line
        assert reply.ok or reply.lines, line
        assert session.prompt.rstrip(" ").endswith("#")


def test_whichever_keys_are_pressed_the_line_is_shown_without_control_sequences(tmp_path):
    mutator = Mutator(5, load_grammar())
    session, editor = Session(adc(tmp_path)), Editor(80)
    typed_before = (mutator.line("exec") for _ in range(20))
    earlier = [line for line in typed_before if line.isprintable()]  # a history has no others
    editor.begin(session.prompt, earlier)
    for _ in range(FUZZ_LINES):
        editor.columns = mutator.random.choice((1, 2, 20, 80, 511))
        typed = (
            mutator.line("exec")[:300].encode("utf-8", "replace")
            if mutator.random.random() < 0.5
            else mutator.random.randbytes(8)
        )
        at = mutator.random.randrange(len(typed) + 1)
        key = mutator.random.choice(KEYS)
        editor.feed(typed[:at].decode("utf-8", "replace") + key + typed[at:].decode("utf-8", "replace"))
        event = True
        while event is not None:
            written, event = editor.advance()
            if event is not None and event.act is Act.COMPLETE:
                written += editor.complete(session.complete(event.text))
            elif event is not None and event.act is Act.HELP:
                written += "".join(session.help(event.text)) and editor.redraw()
            elif event is not None:
                written += editor.begin(session.prompt, earlier)
            assert all(c in "\b\r\n" or c.isprintable() or ord(c) >= 0xA0 for c in written.replace("^Z", "").replace("^C", "")), (
                written
            )
