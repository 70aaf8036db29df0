"""Opens the connections of HTTP calls: only to addresses that may be called, never deaf while it waits."""

import errno
import os
import selectors
import socket
import ssl
from collections.abc import Callable, Iterable
from functools import partial
from queue import Empty, Queue
from threading import Thread
from time import monotonic
from typing import Any, Final, TypeVar

import httpcore2

from jobs.executors.addresses import choose

# How long a wait for the network lasts before `check` is asked whether to go on.
SLICE_SECONDS: Final = 0.25
# How long one address may take before the next of the same host is tried.
CONNECT_SECONDS: Final = 10.0
Answer = TypeVar("Answer")


class PinnedBackend(httpcore2.NetworkBackend):
    """httpcore's way to the network, with two differences.

    It resolves the host itself and connects to an address that `addresses.choose` let through: for each
    connection, so for each redirect, too. And it waits in slices, calling `check` in between, which
    raises when the call must stop; so httpcore's own timeouts are not used.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        *others, last = choose(host, self._resolved(host, port))
        for address in others:
            try:
                return self._connected(address, port)
            except httpcore2.ConnectError:
                continue
        return self._connected(last, port)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.NetworkStream:
        raise httpcore2.ConnectError(f"{path!r} is a unix socket; expected a host.")

    def _resolved(self, host: str, port: int) -> list[str]:
        """The host's addresses. The system's resolver can't be interrupted, so it gets a thread."""
        answers: Queue[list[str] | OSError] = Queue(maxsize=1)

        def resolve() -> None:
            try:
                found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                answers.put([str(entry[4][0]) for entry in found])
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(str(error)))

        Thread(target=resolve, name="resolve", daemon=True).start()
        while True:
            try:
                answer = answers.get(timeout=SLICE_SECONDS)
            except Empty:
                self._check()
                continue
            if isinstance(answer, OSError):
                raise httpcore2.ConnectError(
                    f"The host {host!r} can't be resolved: {answer.strerror or answer}."
                )
            return answer

    def _connected(self, address: str, port: int) -> httpcore2.NetworkStream:
        raw = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.setblocking(False)
            error = raw.connect_ex((address, port))
            if error == errno.EINPROGRESS:
                error = self._connecting(raw)
        except BaseException:
            raw.close()
            raise
        if error:
            raw.close()
            raise httpcore2.ConnectError(f"{address} port {port}: {os.strerror(error)}.")
        raw.settimeout(SLICE_SECONDS)
        return _Stream(raw, self._check)

    def _connecting(self, raw: socket.socket) -> int:
        """Waits until the kernel has connected or given up; the error number, 0 for none."""
        deadline = monotonic() + CONNECT_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(raw, selectors.EVENT_WRITE)
            while not selector.select(SLICE_SECONDS):
                self._check()
                if monotonic() >= deadline:
                    return errno.ETIMEDOUT
        return raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, connection: socket.socket, check: Callable[[], None]) -> None:
        self._connection = connection
        self._check = check

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._sliced(lambda: self._connection.recv(max_bytes))
        except OSError as error:
            raise httpcore2.ReadError(f"The connection broke: {error.strerror or error}.") from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        rest = memoryview(buffer)
        try:
            while rest:
                rest = rest[self._sliced(partial(self._connection.send, rest)) :]
        except OSError as error:
            raise httpcore2.WriteError(f"The connection broke: {error.strerror or error}.") from None

    def close(self) -> None:
        self._connection.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        try:
            secured = ssl_context.wrap_socket(
                self._connection, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            self._connection = secured
            self._sliced(secured.do_handshake)
        except OSError as error:
            self.close()
            raise httpcore2.ConnectError(f"TLS with {server_hostname!r} failed: {error}.") from None
        except BaseException:
            self.close()
            raise
        return _Stream(secured, self._check)

    def get_extra_info(self, info: str) -> Any:
        return self._connection if info == "socket" else None

    def _sliced(self, act: Callable[[], Answer]) -> Answer:
        """Repeats `act`, which times out after a slice, until it answers."""
        while True:
            try:
                return act()
            except TimeoutError:
                self._check()
