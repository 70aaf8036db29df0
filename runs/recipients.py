"""Decides who is a recipient: checks each line that was sent and stages it, so that runs can be made of it."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from django.db import connection
from django.db.models import Max, Min

from jobs import parameters as job_parameters
from jobs.expectations import shown
from jobs.faults import Fault
from runs import keying
from runs.models import Campaign, Recipient
from runs.models.campaign import KEY_LENGTH
from runs.plain import plain_text
from runs.streams import FIELDS, Line

# So many invalid lines are kept for the report; the others are only counted.
REPORT_LIMIT: Final = 10_000
_LINES_A_PIECE: Final = 1000
_COPY: Final = """COPY runs_recipient (campaign_id, line, key, parameters, is_active, dedup_key, concurrency_key, fault)
    FROM STDIN"""
# Repeats of a key are found side by side in the index.
_DROP_REPEATS: Final = """
    DELETE FROM runs_recipient WHERE run_id IN (
        SELECT run_id FROM (
            SELECT run_id, lag(key) OVER (ORDER BY key, run_id) = key AS is_repeat
            FROM runs_recipient WHERE campaign_id = %s AND fault IS NULL) ordered
        WHERE is_repeat)"""


def stage(campaign: Campaign, lines: Iterable[Line]) -> None:
    """Stages every line for `campaign` and counts: `total`, `invalid` and `duplicates` are saved.

    Belongs into the transaction that makes the campaign. Reads `lines` as the database takes them: never are
    there more than some thousands in memory. A recipient's parameters are checked as its run's would be.
    """
    staging = _Staging(campaign)
    lines = iter(lines)  # before the connection is taken: a saved list is in the same database
    with connection.cursor() as cursor:
        # It takes as long as the sender takes.
        cursor.execute("SET LOCAL statement_timeout = '15min'")
        with connection.wrap_database_errors, cursor.cursor.copy(_COPY) as copy:
            for piece in staging.pieces(lines):
                copy.write(piece)
        cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
        cursor.execute(_DROP_REPEATS, [campaign.pk])
        campaign.duplicates = cursor.rowcount
    campaign.total, campaign.invalid = staging.valid - campaign.duplicates, staging.invalid
    ends = Recipient.objects.filter(campaign=campaign).aggregate(first=Min("run_id"), last=Max("run_id"))
    campaign.recipients_from = (ends["first"] or 1) - 1
    campaign.expanded_upto, campaign.recipients_upto = campaign.recipients_from, ends["last"] or 0
    campaign.save(
        update_fields=[
            *("total", "invalid", "duplicates", "recipients_from", "recipients_upto", "expanded_upto")
        ]
    )


class _Staging:
    """Turns lines into what COPY reads, and counts them."""

    def __init__(self, campaign: Campaign) -> None:
        job = campaign.job
        self.valid = self.invalid = 0
        self._campaign = campaign.pk
        self._shared = job_parameters.merge(job.defaults, campaign.parameters)
        self._check = job_parameters.checker(job.schema)
        self._dedup_key = keying.maker(job.dedup_key_template, schema=job.schema)
        self._concurrency_key = keying.maker(job.concurrency_key_template, schema=job.schema)

    def pieces(self, lines: Iterable[Line]) -> Iterator[str]:
        """The text that COPY reads, some lines at a time."""
        waiting: list[str] = []
        for number, given in lines:
            waiting.append(self._line(number, given))
            if len(waiting) == _LINES_A_PIECE:
                yield "".join(waiting)
                waiting.clear()
        yield "".join(waiting)

    def _line(self, number: int, given: Any) -> str:
        faults = faults_of(given)
        if not faults:
            own = given.get("parameters") or {}
            merged = {**self._shared, **own}
            faults = self._check(merged)
            if not faults:
                self.valid += 1
                return self._copied(number, str(given["key"]), own, given.get("active", True), merged)
        self.invalid += 1
        return self._refused(number, given, faults) if self.invalid <= REPORT_LIMIT else ""

    def _copied(
        self, number: int, key: str, own: Mapping[str, Any], is_active: bool, merged: Mapping[str, Any]
    ) -> str:
        keys = f"{_copied_key(self._dedup_key, merged)}\t{_copied_key(self._concurrency_key, merged)}"
        written = _written(own) if own else "{}"
        if "\\" in written:
            written = written.replace("\\", "\\\\")
        active = "t" if is_active else "f"
        return f"{self._campaign}\t{number}\t{_escaped(key)}\t{written}\t{active}\t{keys}\t\\N\n"

    def _refused(self, number: int, given: Any, faults: list[Fault]) -> str:
        key = given.get("key", "") if isinstance(given, Mapping) else ""
        text = plain_text(key if isinstance(key, str) else shown(key))[:KEY_LENGTH]
        report = _escaped(plain_text(json.dumps([asdict(fault) for fault in faults])))
        return f"{self._campaign}\t{number}\t{_escaped(text)}\t{{}}\tf\t\\N\t\\N\t{report}\n"


def faults_of(given: Any) -> list[Fault]:
    """What is wrong with a recipient, apart from its parameters, which a job's schema judges."""
    return [] if _is_usual(given) else _faults(given)


def _is_usual(given: Any) -> bool:
    """Whether there is surely nothing wrong with it before its parameters are looked at: a look for most."""
    if type(given) is not dict or not given.keys() <= FIELDS:
        return False
    key, own = given.get("key"), given.get("parameters")
    return (
        type(key) is str
        and 0 < len(key) <= KEY_LENGTH
        and key.isprintable()
        and (own is None or type(own) is dict)
        and type(given.get("active", True)) is bool
    )


def _faults(given: Any) -> list[Fault]:
    """What is wrong with a recipient before its parameters are looked at."""
    if isinstance(given, list) and given and isinstance(given[0], Fault):
        return given  # whoever read the line found it wrong
    if not isinstance(given, dict):
        detail = (
            f'The recipient is {shown(given)}; expected an object such as {{"key": "…", "parameters": {{}}}}.'
        )
        return [Fault(pointer="", code="type", detail=detail)]
    found = []
    key = given.get("key")
    if not _is_key(key):
        detail = (
            f"The key is {shown(key)}; expected a text of 1 to {KEY_LENGTH} characters, or a whole number."
        )
        found.append(Fault(pointer="/key", code="key", detail=detail))
    own = given.get("parameters")
    if own is not None and not isinstance(own, dict):
        detail = f"The parameters are {shown(own)}; expected an object."
        found.append(Fault(pointer="/parameters", code="type", detail=detail))
    if not isinstance(given.get("active", True), bool):
        detail = f"'active' is {shown(given['active'])}; expected true or false."
        found.append(Fault(pointer="/active", code="type", detail=detail))
    if given.keys() - FIELDS:
        detail = f"{shown(min(given.keys() - FIELDS))} is unknown; expected only key, parameters and active."
        found.append(Fault(pointer="", code="unknown", detail=detail))
    return found


def _is_key(key: Any) -> bool:
    if isinstance(key, str):
        return 0 < len(key) <= KEY_LENGTH and (key.isprintable() or plain_text(key) == key)
    return isinstance(key, int) and not isinstance(key, bool) and key.bit_length() < 128


def _copied_key(make: keying.Maker | None, merged: Mapping[str, Any]) -> str:
    key = make(merged) if make else None
    return r"\N" if key is None else _escaped(key)


def _encoder() -> Callable[[Any], str]:
    """As `json.dumps`, which makes an encoder anew for each value: three times the time of using it."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.dumps
    text_of = json.encoder.encode_basestring_ascii
    encode = make(None, None, text_of, None, ": ", ", ", False, False, False)
    return lambda value: "".join(encode(value, 0))


_written: Final = _encoder()


def _escaped(text: str) -> str:
    """`text` as COPY reads it."""
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    if text.isprintable():
        return text
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")
