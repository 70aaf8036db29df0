"""API keys: issued once in the clear, stored as a keyed hash, verified in constant time, rotated, revoked at once.

Form `hw_<public id>_<secret>` (api.md, Auth). The hash is keyed with the site's secret key and its fallbacks, so
that a stolen table is no list of keys and the secret key can be rotated.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac

from jobs.models import Job
from triggers.models import ApiKey, Scope

PREFIX = "hw"
SALT = "headway.api-key"
# `last_used_at` is for people who look for unused keys: more than one write a minute would buy nothing.
TOUCH_EVERY = timedelta(minutes=1)
LONGEST_OVERLAP = timedelta(days=90)


class InvalidNetwork(ValueError):
    """Text that is no IP address or network."""


class NotRotated(Exception):
    """A key that is revoked, or an overlap that is none."""


def issue(
    *,
    name: str,
    owner: User,
    scopes: Iterable[str] = (Scope.READ,),
    jobs: Iterable[Job] = (),
    networks: Iterable[str] = (),
    expires_at: datetime | None = None,
    idle_days: int | None = None,
    rate_limit: str | None = None,
) -> tuple[ApiKey, str]:
    """Makes a key; returns it with its text, which cannot be had again. Raises InvalidNetwork."""
    public_id = secrets.token_hex(4)
    secret = _new_secret()
    key = ApiKey.objects.create(
        public_id=public_id,
        secret_hash=_digest(secret, settings.SECRET_KEY),
        name=name,
        owner=owner,
        scopes=sorted(set(scopes)),
        networks=[str(parse_network(text)) for text in networks],
        expires_at=expires_at,
        idle_days=idle_days,
        rate_limit=rate_limit,
    )
    key.jobs.set(jobs)
    return key, f"{PREFIX}_{public_id}_{secret}"


def rotate(key: ApiKey, *, overlap: timedelta, now: datetime) -> str:
    """Gives the key another secret and returns its new text, which cannot be had again.

    The secret of now stays valid for `overlap`, so that whoever uses it can be moved; the one before it, if
    its overlap was not over yet, ends at once. Raises NotRotated.
    """
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        raise NotRotated(f"An overlap of {overlap} is none: expected 0 to {LONGEST_OVERLAP.days} days.")
    secret = _new_secret()
    with transaction.atomic():
        locked = ApiKey.objects.select_for_update().get(pk=key.pk)
        if locked.revoked_at is not None:
            raise NotRotated(f"The key {key} is revoked: issue a new one.")
        locked.former_hash, locked.former_until = locked.secret_hash, now + overlap
        locked.former_calls, locked.former_used_at, locked.rotated_at = 0, None, now
        locked.secret_hash = _digest(secret, settings.SECRET_KEY)
        locked.save(
            update_fields=[
                "secret_hash", "former_hash", "former_until", "former_calls", "former_used_at", "rotated_at",
            ]
        )  # fmt: skip
    key.refresh_from_db()
    return f"{PREFIX}_{key.public_id}_{secret}"


def verify(text: str) -> ApiKey | None:
    """The valid key whose text this is, with its owner; None for a wrong, expired or revoked one.

    An unknown key costs the same hash as a known one with a wrong secret.
    """
    prefix, _, rest = text.partition("_")
    public_id, _, secret = rest.partition("_")
    if prefix != PREFIX or not secret or len(text) > 200 or not text.isascii():
        return None
    key = ApiKey.objects.select_related("owner").filter(public_id=public_id).first()
    now = timezone.now()
    current = _matches(secret, key.secret_hash if key else "")
    former = _matches(secret, key.former_hash if key and key.rotating(now) else "")
    if key is None or not (current or former) or not key.is_valid(now):
        return None
    key.on_former_secret = former and not current
    return key


def revoke(key: ApiKey) -> None:
    """Ends the key at once and for good; its runs keep saying who started them."""
    ApiKey.objects.filter(pk=key.pk, revoked_at__isnull=True).update(revoked_at=timezone.now(), enabled=False)
    key.refresh_from_db()


def touch(key: ApiKey, *, address: str | None, now: datetime) -> None:
    """Notes that the key was used, at most once a minute."""
    if key.last_used_at is not None and now - key.last_used_at < TOUCH_EVERY:
        return
    stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - TOUCH_EVERY)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now, last_used_from=address)


def may_call_from(key: ApiKey, address: str | None) -> bool:
    """Whether the key's networks allow a call from `address`; a key without networks may call from anywhere."""
    if not key.networks:
        return True
    try:
        caller = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    caller = getattr(caller, "ipv4_mapped", None) or caller
    return any(caller in ipaddress.ip_network(network) for network in key.networks)


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The network that `text` (an address or CIDR) names; raises InvalidNetwork."""
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise InvalidNetwork(
            f"{text!r} is not an IP address or network: expected something like 10.0.0.0/8 or 2001:db8::1."
        ) from None


def _new_secret() -> str:
    return secrets.token_urlsafe(32).replace("_", "-")


def _matches(secret: str, stored: str) -> bool:
    """Whether `stored` is the hash of `secret`; costs the same for a hash that there is not."""
    site_keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    expected = stored or "-" * 64
    matches = [hmac.compare_digest(_digest(secret, site_key), expected) for site_key in site_keys]
    return any(matches)


def _digest(secret: str, site_key: str) -> str:
    return salted_hmac(SALT, secret, secret=site_key, algorithm="sha256").hexdigest()
