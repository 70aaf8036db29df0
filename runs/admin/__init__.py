"""What operators see and do of runs, campaigns, lanes, circuit breakers and workers, and of beat's own entries."""

from runs.admin.beat import EntryAdmin
from runs.admin.bulk import BulkOperationAdmin
from runs.admin.campaign import CampaignAdmin
from runs.admin.circuit import CircuitAdmin
from runs.admin.lane import LaneAdmin
from runs.admin.recipient_list import RecipientListAdmin
from runs.admin.run import RunAdmin
from runs.admin.target import PausedTargetAdmin
from runs.admin.worker import WorkerAdmin

__all__ = [
    "BulkOperationAdmin",
    "CampaignAdmin",
    "CircuitAdmin",
    "EntryAdmin",
    "LaneAdmin",
    "PausedTargetAdmin",
    "RecipientListAdmin",
    "RunAdmin",
    "WorkerAdmin",
]
