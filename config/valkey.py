"""A private Valkey on a unix socket, run in the foreground by whoever starts it."""

from dataclasses import dataclass
from pathlib import Path

from config.children import Program


@dataclass(frozen=True, kw_only=True, slots=True)
class Valkey:
    """A broker that keeps nothing on disk: what it holds are hints, and PostgreSQL can make them anew."""

    sockets: Path
    binary: Path

    @property
    def socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        return f"redis+socket://{self.socket}"

    def program(self) -> Program:
        settings = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.sockets),
            "save": "",
            "appendonly": "no",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        command = [
            str(self.binary),
            *(word for name, value in settings.items() for word in (f"--{name}", value)),
        ]
        return Program(name="valkey", command=command)

    def is_ready(self) -> bool:
        """Whether the server answers."""
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1) as client:
                return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
