"""What happened: runs, what is written beside them, and the workers that carry them."""

from runs.models.campaign import Campaign, CampaignPace, CampaignStatus, CampaignTally, Recipient, ResultSum
from runs.models.campaign_event import CampaignAct, CampaignEvent
from runs.models.following import Ending, Following
from runs.models.lane import ClaimGroup, Lane
from runs.models.names import run_id, run_name
from runs.models.record import Idempotency, LogChunk, RunEvent, RunLabel
from runs.models.run import Run, TriggerKind
from runs.models.tally import HourlyTally, Tally, TallyDelta, TriggerTally
from runs.models.worker import Heartbeat, Worker, WorkerProcess

__all__ = [
    "Campaign",
    "CampaignAct",
    "CampaignEvent",
    "CampaignPace",
    "CampaignStatus",
    "CampaignTally",
    "ClaimGroup",
    "Ending",
    "Following",
    "Heartbeat",
    "HourlyTally",
    "Idempotency",
    "Lane",
    "LogChunk",
    "Recipient",
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
