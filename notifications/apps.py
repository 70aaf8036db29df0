"""The app of who is told what: channels, rules, and what was sent."""

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    name = "notifications"
