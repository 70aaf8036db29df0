"""config.gunicorn: what keeps one caller from holding up the others."""

import socket
from types import SimpleNamespace

import pytest

from config import gunicorn


def test_a_sender_who_falls_silent_in_the_middle_gives_the_thread_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gunicorn, "STALLED_SECONDS", 1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gunicorn.when_ready(SimpleNamespace(LISTENERS=[listener]))
        with socket.create_connection(listener.getsockname()) as sender:
            receiver, _ = listener.accept()
            with receiver:
                receiver.setblocking(True)
                sender.sendall(b"POST /api/ev")
                assert receiver.recv(100) == b"POST /api/ev"
                with pytest.raises(BlockingIOError):
                    receiver.recv(100)
