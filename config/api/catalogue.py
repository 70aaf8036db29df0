"""Every kind of error the API answers with: its code, its status, what it means and what to do about it.

A problem's `type` is the address of the page that shows its entry here (`/api/errors/<code>`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of error; `title` is short and never changes with the occurrence."""

    code: str
    status: int
    title: str
    meaning: str
    remedy: str


_TYPES: Final = (
    ProblemType(
        "bad_request",
        400,
        "Bad request",
        "The request can't be read as HTTP for this site: its host, its path or its size is not allowed.",
        "Compare the address with the one this site is reached by.",
    ),
    ProblemType(
        "invalid_json",
        400,
        "The body is not JSON",
        "The body is not one JSON object in UTF-8. A key given twice, NaN and Infinity, a text with U+0000 or "
        "half a surrogate pair, and nesting deeper than 64 levels count as broken, too.",
        'Send an object like {"parameters": {}}; the detail says at which place reading stopped.',
    ),
    ProblemType(
        "invalid_body",
        400,
        "The body has a wrong value",
        "A field of the body is unknown, missing, or has a value of the wrong type or range.",
        "Each entry of `errors` names the field by its JSON pointer, the value, and what was expected.",
    ),
    ProblemType(
        "invalid_query",
        400,
        "The query has a wrong value",
        "A parameter of the query is unknown, given twice, or has a value of the wrong type or range.",
        "Each entry of `errors` names the parameter, the value, and what was expected.",
    ),
    ProblemType(
        "invalid_header",
        400,
        "A header has a wrong value",
        "A header that this call reads has a value it can't have.",
        "The entry of `errors` names the header, the value, and what was expected.",
    ),
    ProblemType(
        "forged_provenance",
        400,
        "Provenance is set by the server",
        "The body says why the run exists (its trigger, cause, slot, key or person), and not what the address "
        "makes true. Headway writes provenance itself, so that it can be believed.",
        "Leave the field out. `…/run` makes manual runs, `…/trigger` remote ones.",
    ),
    ProblemType(
        "circular_dependency",
        400,
        "A job would come after itself",
        "The dependency would close a circle; `chain` names the jobs of it in the direction of the flow.",
        "Follow another job, or remove one of the dependencies of the chain. "
        "`GET /api/jobs/available-upstream?for=<slug>` lists what can be followed.",
    ),
    ProblemType(
        "not_authenticated",
        401,
        "An API key is needed",
        "The call had no key and no session, or a key that is unknown, revoked, expired or disabled.",
        "Send `Authorization: Bearer hw_…` (or `Token hw_…`) with a key that a person of this site issued.",
    ),
    ProblemType(
        "invalid_signature",
        401,
        "The signature does not hold",
        "The delivery has no signature, one that no valid secret makes of exactly these bytes, or an old timestamp.",
        "Compare the secret and the scheme with those of the trigger, and the clocks. The inbox shows the delivery.",
    ),
    ProblemType(
        "unreadable_event",
        400,
        "The event can't be read",
        "The signature holds, but the body is neither JSON, nor a form, nor plain text in UTF-8.",
        "Have the sender send JSON.",
    ),
    ProblemType(
        "vault_locked",
        503,
        "Secrets can't be opened",
        "The site has no key for its stored secrets, or not the one that sealed this one. Nothing was accepted.",
        "Set HEADWAY_VAULT_KEYS to the key that sealed them; `manage.py doctor` says more.",
    ),
    ProblemType(
        "permission_denied",
        403,
        "Not allowed",
        "The key or the person is known, but lacks the scope or permission, or may not call from this address.",
        "Ask for a key with the scope that the detail names; a session also needs its CSRF token.",
    ),
    ProblemType(
        "not_found",
        404,
        "Not found",
        "There is nothing at this address, or nothing that this key may see.",
        "Look at the list one level up, or at `/api/docs`.",
    ),
    ProblemType(
        "gone",
        410,
        "No longer kept",
        "The run was deleted by retention: ended runs are kept as long as they, their job or the site say.",
        "What was counted of it stays in the statistics. Keep runs longer with `retain_for_seconds` or `persistent`.",
    ),
    ProblemType(
        "method_not_allowed",
        405,
        "This method is not allowed here",
        "The address exists, but not for this HTTP method.",
        "The header `Allow` lists the methods it has.",
    ),
    ProblemType(
        "not_acceptable",
        406,
        "No such representation",
        "The header `Accept` asks for a form that this address can't answer in.",
        "Accept application/json, or leave the header out.",
    ),
    ProblemType(
        "job_paused",
        409,
        "The job is paused",
        "Somebody paused the job; `paused_by`, `paused_reason` and `paused_until` say who, why and until when.",
        "Wait, or have it resumed.",
    ),
    ProblemType(
        "job_inactive",
        409,
        "The job is inactive",
        "The job was taken out of use; nothing starts it.",
        "Have it made active again, if that is right.",
    ),
    ProblemType(
        "job_broken",
        409,
        "The job is broken",
        "The function or program behind the job is gone, so that no run of it could do anything.",
        "Deploy the code it needs; `manage.py sync_jobs` then repairs the job.",
    ),
    ProblemType(
        "trigger_disabled",
        409,
        "The trigger is disabled",
        "The job may be run, but not by this trigger.",
        "Have the trigger enabled.",
    ),
    ProblemType(
        "loop_stopped",
        409,
        "This looks like a loop",
        "The run that caused this launch is the last of a chain that is too long, or grows too fast.",
        "Find out which run starts the chain again, and break it there.",
    ),
    ProblemType(
        "refused",
        409,
        "Not in this state",
        "The run, or what else the address names, is in a state in which this can't be done: only a run that has "
        "ended can be retried, and one that has ended can't be cancelled.",
        "Look at its status first.",
    ),
    ProblemType(
        "invalid_recipients",
        422,
        "Some recipients are invalid",
        "Some recipients of the campaign are no recipients, or their parameters don't fit the job's schema. It was "
        "kept as a draft and nothing was started; `errors` has the first of them, `report` the address of all.",
        "Correct the list and send it again, or resume the draft `without_invalid`.",
    ),
    ProblemType(
        "idempotency_in_flight",
        409,
        "The first request is still going on",
        "A request with the same Idempotency-Key has begun and not ended, for longer than this one could wait.",
        "Send the same request again a little later; you get the first one's answer.",
    ),
    ProblemType(
        "length_required",
        411,
        "A length is needed",
        "The body came without Content-Length, in chunks.",
        "Send the body with its length.",
    ),
    ProblemType(
        "precondition_failed",
        412,
        "Somebody was first",
        "What the call changes has changed since its `ETag` was read, and `If-Match` forbids to go on.",
        "Read it again, decide again, and send the new `ETag`.",
    ),
    ProblemType(
        "body_too_large",
        413,
        "The body is too large",
        "The body has more bytes than this site takes.",
        "Send less; the detail says how much is taken.",
    ),
    ProblemType(
        "address_too_long",
        414,
        "The address is too long",
        "The first line of the request has more than 8,190 bytes.",
        "Ask for less at once: fewer values of a filter, or several requests.",
    ),
    ProblemType(
        "unsupported_media_type",
        415,
        "Not this kind of body",
        "The body is not declared as JSON in UTF-8.",
        "Send it with `Content-Type: application/json`.",
    ),
    ProblemType(
        "invalid_parameters",
        422,
        "The job refuses these parameters",
        "The parameters, merged over the job's defaults, do not fit the job's schema.",
        "Each entry of `errors` names the parameter, the value, and what was expected. "
        "`GET /api/jobs/<slug>` has the schema.",
    ),
    ProblemType(
        "idempotency_key_reused",
        422,
        "This Idempotency-Key belongs to another request",
        "Within 24 hours the key was sent with another address or body. Nothing was launched.",
        "Make a new key for each new request; keep it only for repetitions of the same one.",
    ),
    ProblemType(
        "headers_too_large",
        431,
        "The headers are too large",
        "A header of the request has more than 8,190 bytes, or there are more than a hundred of them.",
        "Leave out what the site does not need, such as cookies of other sites.",
    ),
    ProblemType(
        "throttled",
        429,
        "Too many requests",
        "More calls were made than the key, or the trigger, has for the time; `limit` says how many, `limit_of` whose.",
        "Wait as many seconds as `Retry-After` says.",
    ),
    ProblemType(
        "internal_error",
        500,
        "An error of ours",
        "Something went wrong that should not have. It was logged under the `request_id`.",
        "Try again; if it stays, report it with the `request_id`.",
    ),
    ProblemType(
        "database_unavailable",
        503,
        "The database doesn't answer",
        "The site can't reach its database right now, or the question took it too long. Nothing was accepted.",
        "Try again after as many seconds as `Retry-After` says, with the same Idempotency-Key.",
    ),
)

CATALOGUE: Final[Mapping[str, ProblemType]] = {kind.code: kind for kind in _TYPES}
