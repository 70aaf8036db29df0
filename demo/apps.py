"""The demo: jobs to try things out with, and the small world they work in. Never part of a deployment."""

from django.apps import AppConfig


class DemoConfig(AppConfig):
    name = "demo"
