"""The Celery application: lanes, routes and the settings that were measured to matter (docs/engine.md).

A message is a hint that a lane has work; PostgreSQL holds the state. Hence early acknowledgement, no
result backend, no retries of a publish, and nothing that needs the broker to remember.
"""

import os

from celery import Celery
from kombu import Exchange, Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# The checks load every address and template of the site, which a worker never serves; `up` and CI run them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

from django.conf import settings

LANES = ("high", "default", "bulk")

app = Celery("headway")
app.conf.update(
    broker_url=settings.BROKER_URL,
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_create_missing_queues=False,
    task_default_queue="default",
    task_queues=[Queue(lane, Exchange(lane, type="direct"), routing_key=lane) for lane in LANES],
    task_acks_late=False,
    task_publish_retry=False,
    worker_pool="prefork",
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_max_tasks_per_child=20_000,
    worker_max_memory_per_child=600_000,  # KiB
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_limit=4,
    broker_pool_acquire_timeout=2,
    broker_transport_options={
        "visibility_timeout": 600,
        "socket_timeout": 2,
        "socket_connect_timeout": 1,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_retries": 1,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
        "queue_order_strategy": "priority",
    },
    beat_scheduler="runs.beat:Scheduler",
    beat_max_loop_interval=1,
    beat_cron_starting_deadline=60,
    timezone=settings.TIME_ZONE,
    enable_utc=True,
)
# Celery's Django fixup closes the connection around every task whatever CONN_MAX_AGE says; a claim
# costs four times as much with a new connection. Stale ones are handled by CONN_HEALTH_CHECKS.
app.conf["CELERY_DB_REUSE_MAX"] = app.conf.worker_max_tasks_per_child
app.autodiscover_tasks()
