"""A web server that stands for the outside world: each path is one way a server can behave."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Outside:
    """What came in, and a switch that lets every stalling answer go on."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.seen: list[dict[str, object]] = []
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def an_outside() -> Iterator[Outside]:
    """Serves on a free port of the loopback until the end of the block."""

    class Handler(_Handler):
        outside: Outside

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    Handler.outside = Outside(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield Handler.outside
    finally:
        Handler.outside.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    outside: Outside

    def log_message(self, *args: object) -> None:
        """Says nothing."""

    def handle(self) -> None:
        with suppress(ConnectionError):  # the other side hung up, which is what some tests are about
            super().handle()

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        path, _, query = self.path.partition("?")
        self.outside.seen.append(
            {
                "method": self.command,
                "path": path,
                "query": query,
                "headers": {name.lower(): value for name, value in self.headers.items()},
                "body": body.decode(),
            }
        )
        name = path.strip("/").split("/")[0]
        answer: Callable[[], None] = getattr(self, f"answer_{name}", self.answer_json)
        answer()

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):  # whatever the method
            return self._serve
        raise AttributeError(name)

    def _send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self) -> None:
        self._send(200, json.dumps({"ok": True}).encode(), Content_Type="application/json", ETag='"1"')

    def answer_text(self) -> None:
        self._send(200, b"caf\xe9 " + b"x" * 3000, Content_Type="text/plain")

    def answer_latin(self) -> None:
        self._send(200, b"caf\xe9", Content_Type="text/plain; charset=latin-1")

    def answer_broken_json(self) -> None:
        self._send(200, b'{"a": NaN', Content_Type="application/json")

    def answer_status(self) -> None:
        status = int(self.path.partition("?")[0].split("/")[2])
        echoed = self.headers.get("Authorization", "no header")
        self._send(status, f"you sent {echoed}".encode(), Retry_After="17")

    def answer_redirect(self) -> None:
        self._send(302, Location=self.path.partition("to=")[2])

    def answer_loop(self) -> None:
        self._send(302, Location="/loop")

    def answer_stall(self) -> None:
        self.outside.released.wait(30)
        self._send(200)

    def answer_drip(self) -> None:
        """Sends something again and again, so that no read ever times out."""
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        while not self.outside.released.wait(0.02):
            self.wfile.write(b".")

    def answer_flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        while not self.outside.released.is_set():
            self.wfile.write(b"x" * 65536)

    def answer_bomb(self) -> None:
        import gzip

        self._send(200, gzip.compress(b"0" * 20_000_000), Content_Encoding="gzip")

    def answer_gzip(self) -> None:
        import gzip

        body = gzip.compress(b'{"packed": true}')
        self._send(200, body, Content_Encoding="gzip", Content_Type="application/json")

    def answer_garbage(self) -> None:
        self.wfile.write(b"this is not HTTP\r\n\r\n")
        self.close_connection = True

    def answer_hangup(self) -> None:
        self.close_connection = True
