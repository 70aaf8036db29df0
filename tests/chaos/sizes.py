"""How much is broken, and for how long: in some minutes by default, and at full size."""

from dataclasses import dataclass
from typing import Final

LONG_LEASE: Final = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How often workers are killed, how much work each round has, and the site's lease in seconds.

    `outages` is how often a server is away, `freeze` how long a frozen broker is (seconds); `period` is from one
    restart of PostgreSQL to the next, `beat_period` from one killed beat to the next. Beside the lease, recovery may
    take `margin` seconds.
    """

    rounds: int = 12
    scale: float = 2.0
    lease: float = 6.0
    margin: float = 15.0
    outages: int = 4
    freeze: float = 8.0
    period: float = 5.0
    beat_period: float = 2.0
    recipients: int = 10_000
    upload: int = 100_000
    drained: int = 20_000
    log_megabytes: int = 64

    @property
    def is_long(self) -> bool:
        """Whether leases, heartbeats and graces are those of a deployment."""
        return self.lease >= LONG_LEASE

    @property
    def recovery(self) -> float:
        """Within how many seconds the next attempt must start: a minute at a deployment's lease."""
        return self.lease + self.margin

    @property
    def cancelled_within(self) -> float:
        """How many seconds after a cancel was asked a running run must be dead: heartbeat and grace, ten each."""
        return 20.0


SHORT: Final = Sizes()
FULL: Final = Sizes(
    rounds=100,
    scale=3.0,
    lease=LONG_LEASE,
    freeze=40.0,
    period=20.0,
    beat_period=7.0,
    recipients=50_000,
    upload=1_000_000,
    drained=100_000,
    log_megabytes=1024,
)
