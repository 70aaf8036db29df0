"""How a campaign looks: its status, and its runs as one bar."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from runs.faces import Face
from runs.models import Campaign, CampaignStatus
from runs.progress import Progress

WIDTH: Final = 1000
STATUSES: Final[Mapping[str, Face]] = {
    CampaignStatus.DRAFT: Face("edit", "draft", "grey"),
    CampaignStatus.SCHEDULED: Face("scheduled", "scheduled", "grey"),
    CampaignStatus.EXPANDING: Face("running", "expanding", "blue"),
    CampaignStatus.RUNNING: Face("running", "running", "blue"),
    CampaignStatus.PAUSED: Face("waiting", "paused", "violet"),
    CampaignStatus.CANCELLING: Face("cancelled", "cancelling", "amber"),
    CampaignStatus.DONE: Face("succeeded", "done", "green"),
    CampaignStatus.CANCELLED: Face("cancelled", "cancelled", "grey"),
}
# From left to right: what is read of a Progress, and its colour.
_PARTS: Final = (
    ("succeeded", "green"),
    ("failed", "red"),
    ("skipped", "grey"),
    ("cancelled", "grey"),
    ("running", "blue"),
)


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the bar."""

    colour: str
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Shown:
    """A campaign with all that a row or a headline shows."""

    campaign: Campaign
    seen: Progress

    @property
    def face(self) -> Face:
        """The face of its status."""
        return STATUSES[self.campaign.status]

    @property
    def bar(self) -> list[Part]:
        """Its runs from left to right; what is missing to the whole width has not begun."""
        return list(_parts(self.seen))

    @property
    def words(self) -> str:
        """What the bar shows, in words."""
        counts = [f"{getattr(self.seen, name)} {name}" for name, _ in _PARTS if getattr(self.seen, name)]
        never = self.seen.not_launched if self.campaign.is_final else 0
        return ", ".join([*counts, f"{never} never launched" if never else f"{self.to_go} to go"])

    @property
    def to_go(self) -> int:
        """Runs that are still to begin; none of a campaign that has ended, launched or not."""
        return 0 if self.campaign.is_final else self.seen.queued + self.seen.not_launched

    @property
    def by(self) -> str:
        """Who ordered it: the name of the key, or of the person."""
        campaign = self.campaign
        if campaign.api_key is not None:
            return campaign.api_key.name
        return campaign.created_by.get_username() if campaign.created_by is not None else ""

    @property
    def success(self) -> str:
        """The share that succeeded, with two decimals; never 100 % while anything failed."""
        rate = self.seen.success_rate
        return "–" if rate is None else f"{int(rate * 10_000) / 100:.2f} %"


def _parts(seen: Progress) -> Iterator[Part]:
    x = 0.0
    for name, colour in _PARTS:
        count = getattr(seen, name)
        if count and seen.runs:
            width = count / seen.runs * WIDTH
            yield Part(colour, round(x, 2), round(width, 2))
            x += width
