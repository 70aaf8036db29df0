"""The Django project of the peers; which of them is meant, and its servers, is told by the environment."""

import os

PEER = os.environ["BENCH_PEER"]
SOCKETS = os.environ["BENCH_SOCKETS"]
REDIS = f"{SOCKETS}/valkey.sock"

SECRET_KEY = "only-for-measuring"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "peers",
        "USER": "headway",
        "HOST": SOCKETS,
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    *{
        "celery-results": ["django_celery_results"],
        "django-q2": ["django_q"],
        "dramatiq": ["django_dramatiq"],
        "django-tasks-db": ["django_tasks", "django_tasks_db"],
        "procrastinate": ["procrastinate.contrib.django"],
    }.get(PEER, []),
]

# django-q2: every task is kept, nothing is compressed or limited, two workers on two cores.
Q_CLUSTER = {
    "name": "bench",
    "workers": 2,
    "save_limit": 0,
    "queue_limit": 200,
    "timeout": 60,
    "retry": 120,
    "redis": {"unix_socket_path": REDIS},
    "log_level": "WARNING",
}

DRAMATIQ_BROKER = {
    "BROKER": "dramatiq.brokers.redis.RedisBroker",
    "OPTIONS": {"url": f"unix://{REDIS}"},
    "MIDDLEWARE": [
        "dramatiq.middleware.AgeLimit",
        "dramatiq.middleware.Retries",
        "django_dramatiq.middleware.DbConnectionsMiddleware",
        "django_dramatiq.middleware.AdminMiddleware",
    ],
}
DRAMATIQ_TASKS_DATABASE = "default"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "ENQUEUE_ON_COMMIT": False}}
