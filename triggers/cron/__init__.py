"""Cron: one engine that computes next slots, previews, missed slots and words. Pure: no models, no clock."""

from triggers.cron.cautions import Caution
from triggers.cron.fields import InvalidCron
from triggers.cron.preview import InvalidCount, NextRun, Preview, Saved, preview
from triggers.cron.slots import Cron, Firing, InvalidInstant, has_slots, parse
from triggers.cron.words import describe
from triggers.cron.zones import ClockChange, InvalidZone, clock_changes, validate_zone, zone_names

__all__ = [
    "Caution",
    "ClockChange",
    "Cron",
    "Firing",
    "InvalidCount",
    "InvalidCron",
    "InvalidInstant",
    "InvalidZone",
    "NextRun",
    "Preview",
    "Saved",
    "clock_changes",
    "describe",
    "has_slots",
    "parse",
    "preview",
    "validate_zone",
    "zone_names",
]
