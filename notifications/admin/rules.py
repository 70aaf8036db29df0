"""The admin of rules: which channel is told of what."""

from typing import ClassVar

from django.contrib import admin

from jobs.panel import Panel
from notifications.models import Rule
from notifications.rule_form import RuleForm


@admin.register(Rule)
class RuleAdmin(Panel):
    """Rules."""

    form = RuleForm
    list_display = ["__str__", "channel", "told_of", "scope", "quiet_minutes", "is_enabled"]
    list_filter = ["is_enabled", "channel"]
    list_select_related: ClassVar = ["channel", "job"]
    search_fields = ["channel__name", "job__name", "job__slug", "tag"]

    @admin.display(description="Tells of")
    def told_of(self, rule: Rule) -> str:
        """Its occasions."""
        return ", ".join(rule.words)
