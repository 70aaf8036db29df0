"""Headway's settings: read from the environment, failing loudly; a checkout runs without any.

`make up` sets what is needed by itself. A deployment sets `SECRET_KEY`, `DATABASE_URL`, `BROKER_URL`
and `ALLOWED_HOSTS`; `docs/settings.md` lists every name with its default.
"""

import os
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.env import Environment
from config.home import site_environment

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

# --- What this process is -------------------------------------------------------------------------
DEBUG = env.bool("DEBUG", default=False)
HOME = Path(env.str("HEADWAY_HOME", default=str(BASE_DIR / "var"))).resolve()
# The commands of a checkout reach the site that `up` runs in it; what is set in the environment wins.
for _name, _value in site_environment(HOME).items():
    os.environ.setdefault(_name, _value)
# Demo content (an app of its own, with tables of its own) belongs to `make up` and to tests only.
DEMO = env.bool("HEADWAY_DEMO", default=False)
ENV_NAME = env.str("ENV_NAME", default="development" if DEBUG else "")
COMMIT = env.str("HEADWAY_COMMIT", default="")

SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
if not SECRET_KEY:
    # A checkout must be able to lint itself, make migrations and print help without a secret. Nothing
    # that serves or stores may run on this value: `check --deploy` refuses it (config.checks), and so
    # do the web and worker processes, which are started with a key of their own by `up`.
    SECRET_KEY = "insecure-" + "0" * 50
# What the vault seals secrets with (`triggers.vault`): the first one seals, all of them open.
VAULT_KEYS = env.list("HEADWAY_VAULT_KEYS", default=[])
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# The address people reach the site by: links in notifications, the curl line on a job's page.
PUBLIC_URL = env.str("PUBLIC_URL", default="")
# Where the demo's scraper finds the listing site that the demo itself serves.
DEMO_URL = env.str(
    "HEADWAY_DEMO_URL", default=PUBLIC_URL or f"http://127.0.0.1:{env.int('HEADWAY_PORT', default=8000)}"
)

INSTALLED_APPS = [
    "config",
    "jobs",
    "triggers",
    "notifications",
    "runs",
    *(["demo"] if DEMO else []),
    # Its modules are found by config.urls: a worker serves no admin and need not load it.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "csp",
    "django_celery_beat",
    "django_filters",
    "django_htmx",
    "django_structlog",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pghistory",
    "pgtrigger",
    "rest_framework",
    "timezone_field",
]

AUTHENTICATION_BACKENDS = ["config.backend.OneQueryBackend"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.GlanceMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.ApiSlashMiddleware",
    "config.middleware.HealthMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "config.middleware.BodySizeMiddleware",  # before anything looks for a token in the body
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "config.middleware.AuditMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.middleware.UnreadableMiddleware",
    "config.middleware.WrongMethodMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "config.context.site",
            ],
        },
    },
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- PostgreSQL: the truth ------------------------------------------------------------------------
# `web` keeps a pool; every other process keeps the one connection it uses.
WEB = env.bool("HEADWAY_WEB", default=False)
WEB_THREADS = env.count("HEADWAY_WEB_THREADS", default=8)
DATABASES: dict[str, Any] = {
    "default": env.db("DATABASE_URL", default="postgresql:///headway"),
}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured(
        f"DATABASE_URL names {DATABASES['default']['ENGINE']!r}; Headway runs on PostgreSQL only "
        "(postgresql://user:password@host:5432/name)."
    )
_session_settings = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "statement_timeout": env.str("HEADWAY_STATEMENT_TIMEOUT", default="30s"),
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
        # A claim forbids whole-table scans, which PostgreSQL before 18 does by a price so high that a statement with
        # no other way is then compiled first: tens of milliseconds for each claim.
        "jit": "off",
    }.items()
)
DATABASES["default"].setdefault("OPTIONS", {}).update(
    {
        "connect_timeout": 3,
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "options": _session_settings,
    }
)
# What every run goes through is prepared once a connection. Switched off, it also works behind a connection
# pooler that can't keep prepared statements apart (PgBouncer before 1.21), but costs much more.
PREPARED_STATEMENTS = env.bool("HEADWAY_PREPARED_STATEMENTS", default=True)
if WEB:
    # Opened after fork (no preload); one connection for each thread and some for the publisher.
    DATABASES["default"]["OPTIONS"]["pool"] = {
        "min_size": 2,
        "max_size": WEB_THREADS + 4,
        "timeout": 5,
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

# --- Celery: a message is only a hint, so the broker may be lost (design: docs/engine.md) ---------
BROKER_URL = env.str("BROKER_URL", default="redis://localhost:6379/0")

# --- Lanes, leases, limits ------------------------------------------------------------------------
# Slots of each worker that `up` starts. High has processes of its own that nothing else can take.
LANE_SLOTS = {
    "high": env.count("HEADWAY_HIGH_SLOTS", default=4),
    "default": env.count("HEADWAY_DEFAULT_SLOTS", default=2),
    "bulk": env.count("HEADWAY_BULK_SLOTS", default=0, least=0),  # 0: as many as there are CPUs
}
# The least that bulk gets of the time of slots that serve it and other lanes, while it has work.
BULK_SHARE = env.amount("HEADWAY_BULK_SHARE", default=0.1, most=0.9)
# A run in the lane default gains one step of priority each time it has waited so long (0: never), up to the limit:
# at least 10, so that it stays behind everything of the lane high.
AGING_SECONDS = env.amount("HEADWAY_AGING_SECONDS", default=60)
AGING_LIMIT = env.count("HEADWAY_AGING_LIMIT", default=10, least=10, most=99)
LEASE_SECONDS = env.int("HEADWAY_LEASE_SECONDS", default=45)
HEARTBEAT_SECONDS = env.float("HEADWAY_HEARTBEAT_SECONDS", default=10)
SWEEP_SECONDS = env.float("HEADWAY_SWEEP_SECONDS", default=2)
# A cancelled run is asked, then interrupted after this many seconds, then killed after as many again.
CANCEL_GRACE_SECONDS = env.float("HEADWAY_CANCEL_GRACE_SECONDS", default=4)
# After SIGTERM a worker lets its work go on for so long, then gives it back, uncounted.
STOP_GRACE_SECONDS = env.float("HEADWAY_STOP_GRACE_SECONDS", default=25)
LOST_ATTEMPTS_LIMIT = 3

# A dependency's delay; and what stops a chain of runs that feeds itself through webhooks or the API: runs
# that are more hops from the first one, or come of it faster (runs a minute), are refused.
DELAY_LIMIT_MINUTES = env.int("HEADWAY_DELAY_LIMIT_MINUTES", default=60)
HOP_LIMIT = env.int("HEADWAY_HOP_LIMIT", default=50)
ROOT_RATE_LIMIT = env.int("HEADWAY_ROOT_RATE_LIMIT", default=1000)

# How long ended runs are kept whose job says nothing, the ledger of slots, and hourly statistics, in days; 0: for ever.
LEDGER_DAYS = env.count("HEADWAY_LEDGER_DAYS", default=400, least=0)
RETAIN_DAYS = env.int("HEADWAY_RETAIN_DAYS", default=0)
STATISTICS_DAYS = env.int("HEADWAY_STATISTICS_DAYS", default=400)
# And the trail of who changed what.
AUDIT_DAYS = env.count("HEADWAY_AUDIT_DAYS", default=0, least=0)
for _name, _days in (("HEADWAY_RETAIN_DAYS", RETAIN_DAYS), ("HEADWAY_STATISTICS_DAYS", STATISTICS_DAYS)):
    if not 0 <= _days <= 36_500:
        raise ImproperlyConfigured(f"{_name} is {_days}; expected 0 (for ever) to 36500 days.")
# Deliveries of events are kept for so many days.
DELIVERY_DAYS = env.int("HEADWAY_DELIVERY_DAYS", default=30)

# --- Notifications --------------------------------------------------------------------------------
# The server for e-mail: smtp://, smtp+tls:// or smtp+ssl://, with user and password; without it there is none.
EMAIL_URL = env.str("EMAIL_URL", default="")
EMAIL_IS_SET_UP = bool(EMAIL_URL)
if EMAIL_IS_SET_UP:
    vars().update(env.email_url("EMAIL_URL"))
    if vars()["EMAIL_BACKEND"] == "django.core.mail.backends.smtp.EmailBackend":
        vars()["EMAIL_BACKEND"] = "notifications.carriers.smtp.EmailBackend"
EMAIL_TIMEOUT = env.float("HEADWAY_EMAIL_TIMEOUT", default=10)  # seconds, of each answer of the server
EMAIL_TOTAL_TIMEOUT = env.float("HEADWAY_EMAIL_TOTAL_TIMEOUT", default=30)  # seconds, of all of them together
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Headway <headway@localhost>")
# What was told is remembered for so many days.
NOTIFICATION_DAYS = env.int("HEADWAY_NOTIFICATION_DAYS", default=30)

# Programs a `command` job may start, by name or absolute path; `python` is this interpreter.
COMMAND_PROGRAMS = env.list("HEADWAY_COMMAND_PROGRAMS", default=["python"])
# Hosts or networks that an `http` job may call although they are private addresses.
HTTP_PRIVATE_ALLOWED = env.list("HEADWAY_HTTP_PRIVATE_ALLOWED", default=[])
# Folders in which sources may watch folders.
WATCH_ROOTS = env.folders("HEADWAY_WATCH_ROOTS")
LOG_LINE_LIMIT = env.int("HEADWAY_LOG_LINE_LIMIT", default=8 * 1024)  # characters
LOG_RUN_LIMIT = env.int("HEADWAY_LOG_RUN_LIMIT", default=8 * 1024 * 1024)  # bytes
RESULT_LIMIT = env.int("HEADWAY_RESULT_LIMIT", default=256 * 1024)  # bytes of JSON
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("HEADWAY_BODY_LIMIT", default=1024 * 1024)  # bytes
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
# Who may read /metrics without a key.
METRICS_NETWORKS = env.networks("HEADWAY_METRICS_NETWORKS")
# Recipients of a campaign, which are read as they come.
CAMPAIGN_BODY_LIMIT = env.int("HEADWAY_CAMPAIGN_BODY_LIMIT", default=128 * 1024 * 1024)  # bytes

# --- People and keys ------------------------------------------------------------------------------
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "triggers.authentication.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["triggers.authentication.ScopedPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["config.api.parsing.StrictJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "config.api.paging.NewestFirst",
    "DEFAULT_FILTER_BACKENDS": [
        "triggers.visibility.VisibleJobs",
        "config.api.filtering.StrictFilterBackend",
    ],
    "DEFAULT_SCHEMA_CLASS": "config.api.openapi.DeclaredSchema",
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "config.api.problems.handle",
    "DATETIME_FORMAT": "iso-8601",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Headway",
    "DESCRIPTION": "Jobs, what may start them, and every run there ever was.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # So many operations would be drawn only where one has scrolled to: one sees what there is, and opens a part of it.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none", "filter": True},
    "REDOC_DIST": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    # No components for enumerations: `status` is another set of words for a run than for a job.
    "POSTPROCESSING_HOOKS": [],
}

# --- Time, language, files ------------------------------------------------------------------------
LANGUAGE_CODE = "en"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_TZ = True
USE_I18N = False
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

# --- What the browser may do ----------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    },
}

HTTPS = env.bool("HEADWAY_HTTPS", default=False)
SECURE_SSL_REDIRECT = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^(healthz|readyz)$"]  # probes come without the proxy
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
# Sessions live in PostgreSQL: the broker may be lost, and nobody is to be logged out by that.
SESSION_ENGINE = "django.contrib.sessions.backends.db"
if env.bool("HEADWAY_BEHIND_PROXY", default=False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# django-celery-beat's own tables are for housekeeping entries; its zone is the site's.
CELERY_TIMEZONE = TIME_ZONE
DJANGO_CELERY_BEAT_TZ_AWARE = True

from config.logging import logging_settings  # noqa: E402

LOG_FORMAT = env.str("HEADWAY_LOG_FORMAT", default="console")
LOGGING = logging_settings(level=env.str("HEADWAY_LOG_LEVEL", default="INFO"), style=LOG_FORMAT)
