from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsadc.dataplane.haproxy_socket import ask

Serve = Callable[[Callable[[socket.socket], None]], Path]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Answers one connection at a socket whose path no socket address can hold."""
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    threads: list[threading.Thread] = []
    with socket.socket(socket.AF_UNIX) as listener:

        def begin(answer: Callable[[socket.socket], None]) -> Path:
            fd = os.open(directory, os.O_PATH)
            listener.bind(f"/proc/self/fd/{fd}/s")
            os.close(fd)
            listener.listen()

            def run() -> None:
                connection, _ = listener.accept()
                with connection:
                    answer(connection)

            threads.append(threading.Thread(target=run))
            threads[0].start()
            return directory / "s"

        yield begin
        for thread in threads:
            thread.join()


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(100), b""))


def test_the_answer_is_read_to_its_end(serve: Serve) -> None:
    heard: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        heard.append(read_all(connection))  # ends only because the asker says that it has nothing more to say
        connection.sendall("é".encode() * 100_000)

    path = serve(answer)
    assert ask(path, "show proc") == "é" * 100_000
    assert heard == [b"show proc\n"]


def test_a_reset_after_the_answer_is_an_end(serve: Serve) -> None:
    def answer(connection: socket.socket) -> None:
        # What stays unread when a socket is closed makes the kernel reset the connection.
        connection.recv(1)
        connection.sendall(b"Success=1\n")

    assert ask(serve(answer), "reload") == "Success=1\n"


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        ask(tmp_path / "s", "show proc")
