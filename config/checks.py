"""What `manage.py check --deploy` refuses beyond Django's own list."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as Caution
from django.template import TemplateDoesNotExist, TemplateSyntaxError, loader

from triggers.vault import SHORTEST

BROKERS = ("redis", "rediss", "redis+socket")


@register(Tags.security, deploy=True)
def secret_key(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The value a checkout falls back to signs nothing worth having."""
    if not settings.SECRET_KEY.startswith("insecure-"):
        return []
    return [
        Error(
            "SECRET_KEY is not set: sessions and API keys would be signed with a value everybody knows.",
            hint="Set SECRET_KEY to 50 random characters or more, and keep it.",
            id="headway.E001",
        )
    ]


@register(Tags.security, deploy=True)
def vault_keys(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Without a key no webhook's secret can be stored; with one that is guessed they are stored in the clear."""
    if not settings.VAULT_KEYS:
        problem = "HEADWAY_VAULT_KEYS is not set: the secrets of webhooks can't be stored."
    elif short := [key for key in settings.VAULT_KEYS if len(key) < SHORTEST]:
        problem = f"HEADWAY_VAULT_KEYS has a key of {len(short[0])} characters; expected {SHORTEST} or more."
    else:
        return []
    hint = f"Set it to {SHORTEST} random characters or more, and keep it: what it sealed is lost without it."
    return [Error(problem, hint=hint, id="headway.E005")]


@register(Tags.compatibility, deploy=True)
def broker(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Hints are sent and counted the way Redis and Valkey do it."""
    scheme = urlsplit(settings.BROKER_URL).scheme
    if scheme in BROKERS:
        return []
    return [
        Error(f"BROKER_URL begins with {scheme!r}; expected one of {', '.join(BROKERS)}.", id="headway.E002")
    ]


@register(Tags.compatibility, deploy=True)
def lease(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A worker fences itself after two thirds of a lease; a missed heartbeat must not bring it there."""
    if settings.LEASE_SECONDS >= 3 * settings.HEARTBEAT_SECONDS:
        return []
    return [
        Error(
            f"HEADWAY_LEASE_SECONDS is {settings.LEASE_SECONDS}; expected at least three times "
            f"HEADWAY_HEARTBEAT_SECONDS ({settings.HEARTBEAT_SECONDS:g}).",
            id="headway.E003",
        )
    ]


@register(Tags.security, deploy=True)
def strangers(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """What a first try may have and a production site may not."""
    found: list[CheckMessage] = []
    if settings.DEMO:
        found.append(Caution("HEADWAY_DEMO is on: demo jobs may run here.", id="headway.W001"))
    if "*" in settings.ALLOWED_HOSTS:
        found.append(Caution("ALLOWED_HOSTS allows every host: name yours.", id="headway.W002"))
    if not settings.PUBLIC_URL:
        found.append(
            Caution("PUBLIC_URL is not set: curl lines and links can't name this site.", id="headway.W003")
        )
    return found


@register(Tags.templates, deploy=True)
def templates(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Every template of ours compiles; a broken one would be noticed by its first visitor."""
    found: list[CheckMessage] = []
    for folder in _template_folders():
        for path in sorted(folder.rglob("*.*")):
            name = str(path.relative_to(folder))
            try:
                loader.get_template(name)
            except (TemplateSyntaxError, TemplateDoesNotExist) as error:
                found.append(Error(f"Template {name} doesn't compile: {error}", id="headway.E004"))
    return found


def _template_folders() -> list[Path]:
    own = [Path(config.path) / "templates" for config in apps.get_app_configs() if _is_ours(config)]
    return [folder for folder in (settings.BASE_DIR / "templates", *own) if folder.is_dir()]


def _is_ours(config: AppConfig) -> bool:
    return Path(config.path).parent == settings.BASE_DIR
