"""What people may do, asked of the database once."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import Permission


class OneQueryBackend(ModelBackend):
    """Asks for a person's own permissions and those of the groups in one query; Django's backend needs two.

    Every page has to know them, and no page may cost more than twelve queries (targets.md).
    """

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        """All that a person and the groups give; nothing for whoever is inactive, and of single objects."""
        if not user_obj.is_active or user_obj.is_anonymous or obj is not None:
            return set()
        if not hasattr(user_obj, "_perm_cache"):
            given = Permission.objects.filter(user=user_obj)
            if user_obj.is_superuser:
                given = Permission.objects.all()
            of_groups = Permission.objects.filter(group__user=user_obj)
            names = [
                found.order_by().values_list("content_type__app_label", "codename")
                for found in (given, of_groups)
            ]
            user_obj._perm_cache = {f"{app}.{name}" for app, name in names[0].union(names[1])}
        found: set[str] = user_obj._perm_cache
        return found
