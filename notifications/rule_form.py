"""The form of a rule, for a page of its own and within the form of a job."""

from typing import TYPE_CHECKING, Any

from django import forms

from notifications.models import Occasion, Rule

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Rule]
else:
    _ModelForm = forms.ModelForm


class RuleForm(_ModelForm):
    """A rule: its occasions as boxes to be ticked."""

    occasions = forms.MultipleChoiceField(
        label="Tell of", choices=Occasion.choices, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Rule
        fields = ("channel", "occasions", "job", "tag", "quiet_minutes", "is_enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None and "occasions" not in self.initial:
            self.initial["occasions"] = [Occasion.FAILED, Occasion.RECOVERED]
