"""What operators see and do of runs, campaigns, lanes, workers, circuits, deliveries and beat's own entries in the admin."""

from runs.admin.beat import EntryAdmin
from runs.admin.campaign import CampaignAdmin
from runs.admin.circuit import CircuitAdmin
from runs.admin.lane import LaneAdmin
from runs.admin.run import RunAdmin
from runs.admin.worker import WorkerAdmin

__all__ = [
    "CampaignAdmin",
    "CircuitAdmin",
    "EntryAdmin",
    "LaneAdmin",
    "RunAdmin",
    "WorkerAdmin",
]
