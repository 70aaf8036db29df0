"""What happened: runs, what is written beside them, and the workers that carry them."""

from runs.models.bulk import BulkOperation, BulkTarget
from runs.models.campaign import Campaign, CampaignPace, CampaignStatus, CampaignTally, Recipient, ResultSum
from runs.models.campaign_event import CampaignAct, CampaignEvent
from runs.models.circuit import Circuit, CircuitEvent, CircuitState
from runs.models.deadline import Deadline, DeadlineKind
from runs.models.following import Ending, Following
from runs.models.lane import ClaimGroup, JobStart, Lane, LanePace
from runs.models.names import run_id, run_name
from runs.models.recipient_list import ListPart, RecipientList
from runs.models.record import Idempotency, LogChunk, RunEvent, RunLabel
from runs.models.run import Run
from runs.models.tally import HourlyTally, Tally, TallyDelta, TriggerTally
from runs.models.target import PausedTarget
from runs.models.trigger_kind import TriggerKind
from runs.models.worker import Heartbeat, Worker, WorkerProcess

__all__ = [
    "BulkOperation",
    "BulkTarget",
    "Campaign",
    "CampaignAct",
    "CampaignEvent",
    "CampaignPace",
    "CampaignStatus",
    "CampaignTally",
    "Circuit",
    "CircuitEvent",
    "CircuitState",
    "ClaimGroup",
    "Deadline",
    "DeadlineKind",
    "Ending",
    "Following",
    "Heartbeat",
    "HourlyTally",
    "Idempotency",
    "JobStart",
    "Lane",
    "LanePace",
    "ListPart",
    "LogChunk",
    "PausedTarget",
    "Recipient",
    "RecipientList",
    "ResultSum",
    "Run",
    "RunEvent",
    "RunLabel",
    "Tally",
    "TallyDelta",
    "TriggerKind",
    "TriggerTally",
    "Worker",
    "WorkerProcess",
    "run_id",
    "run_name",
]
