"""The form of an API key: scopes that whoever fills it in has, networks that are networks, one name a key."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from jobs.inputs import LinesField
from triggers import keys
from triggers.authentication import SCOPE_PERMISSIONS
from triggers.models import ApiKey, Scope

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[ApiKey]
else:
    _ModelForm = forms.ModelForm

_SCOPES: Final = (
    (Scope.READ, "read – see jobs, triggers and runs"),
    (Scope.RUN, "run – start jobs, retry runs"),
    (Scope.CANCEL, "cancel – cancel runs"),
    (Scope.WRITE, "write – change jobs and triggers"),
)


class NetworksField(LinesField):
    """IP addresses and networks, one a line."""

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        """The networks as they are stored; raises ValidationError naming the line that is none."""
        try:
            return [str(keys.parse_network(line)) for line in super().to_python(value)]
        except keys.InvalidNetwork as error:
            raise ValidationError(str(error)) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Whether the networks are others than before."""
        try:
            return super().has_changed(initial, data)
        except ValidationError:
            return True


class ApiKeyForm(_ModelForm):
    """An API key without its secret. `person` is who fills it in."""

    person: Any = None
    scopes = forms.MultipleChoiceField(
        choices=_SCOPES, widget=forms.CheckboxSelectMultiple, initial=[Scope.READ]
    )
    networks = NetworksField(
        help_text="Addresses it may call from, one a line, like 10.0.0.0/8. Empty: from anywhere."
    )

    class Meta:
        model = ApiKey
        exclude = ()
        widgets: ClassVar = {"jobs": forms.CheckboxSelectMultiple}

    def clean_scopes(self) -> list[str]:
        """Refuses a scope for what the issuer may not do, or the owner, for whom it would not count."""
        owner = self.cleaned_data.get("owner") or self.person
        for scope in self.cleaned_data["scopes"]:
            permission = SCOPE_PERMISSIONS[Scope(scope)]
            for somebody in (self.person, owner):
                if not somebody.has_perm(permission):
                    raise ValidationError(
                        f"You may not give a key the scope {scope!r}: {somebody.get_username()} lacks the "
                        f"permission {permission}."
                    )
        return sorted(self.cleaned_data["scopes"])

    def clean_expires_at(self) -> datetime | None:
        """Refuses an end that is over: a key is revoked, or never made."""
        end: datetime | None = self.cleaned_data["expires_at"]
        if end is not None and "expires_at" in self.changed_data and end <= timezone.now():
            raise ValidationError(f"{end:%Y-%m-%d %H:%M} is over; expected a time to come, or none.")
        return end

    def clean(self) -> dict[str, Any]:
        """Refuses the name of another live key of the owner, so that a form sent twice makes one key."""
        cleaned = super().clean() or self.cleaned_data
        owner = cleaned.get("owner") or getattr(self.instance, "owner", None) or self.person
        same = ApiKey.objects.filter(name=cleaned.get("name"), owner=owner, revoked_at__isnull=True)
        other = same.exclude(pk=self.instance.pk).first()
        if other is not None:
            self.add_error("name", f"{owner.get_username()} has a key of this name: {other}. Choose another.")
        return cleaned


class RotationForm(forms.Form):
    """For how long the former secret goes on."""

    overlap_hours = forms.IntegerField(
        label="Overlap in hours",
        min_value=0,
        max_value=keys.LONGEST_OVERLAP // timedelta(hours=1),
        initial=24,
        help_text="So long the former secret stays valid, so that whoever uses it can be moved. 0: it ends at once.",
    )
