"""Forms of projects."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.lib.format import visible
from telltale.projects.keys import RATE_MAX, SCOPES, check_origins
from telltale.projects.models import Project, Role
from telltale.projects.origins import ORIGIN_CHARS_MAX, ORIGINS_MAX, OriginRefused, read_origins
from telltale.projects.write import ProjectSettings

RETENTION_MAX_DAYS = 3650
FEATURES_MAX = 200
SCOPE_WORDS = {
    "ingest": "Send traces, logs and metrics",
    "signal": "Send user signals; alone it is safe in a browser",
    "read": "Read what this project holds",
    "write": "Change log, experiments, scores, reviews",
    "admin": "Settings, members and keys",
}
ROLE_CHOICES = [choice for choice in Role.choices if choice[0] != Role.OWNER]


def time_zones() -> list[tuple[str, str]]:
    """The zones to choose from: UTC, then places by name."""
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return [("UTC", "UTC"), *((name, name) for name in places)]


class ProjectForm(forms.Form):
    """A new project."""

    name = forms.CharField(max_length=60, help_text="Its address is made of it and stays.")
    organisation = forms.ModelChoiceField(Organisation.objects.none(), empty_label=None)
    time_zone = forms.ChoiceField(label="Time zone for days and weeks", choices=time_zones, initial="UTC")

    def __init__(self, *args: Any, organisations: list[Organisation], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["organisation"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101
        choice.queryset = Organisation.objects.filter(pk__in=[o.pk for o in organisations])
        if len(organisations) == 1:
            choice.initial = organisations[0].pk
            choice.widget = forms.HiddenInput()


class SettingsForm(forms.Form):
    """A project's settings; feature rules come as a set of forms beside it."""

    name = forms.CharField(max_length=120)
    time_zone = forms.ChoiceField(label="Time zone for days and weeks", choices=time_zones)
    retention_days = forms.IntegerField(
        label="Keep traces for",
        min_value=1,
        max_value=RETENTION_MAX_DAYS,
        help_text="Spans, counts, costs of calls, sessions and signals. Charts stay.",
    )
    # A form that does not tell these leaves them as they are.
    text_days = forms.IntegerField(
        label="Keep text for",
        required=False,
        min_value=1,
        max_value=RETENTION_MAX_DAYS,
        help_text="What people and models wrote, and the search over it. Never longer than the trace.",
    )
    score_days = forms.IntegerField(
        label="Keep scores for",
        required=False,
        min_value=1,
        max_value=RETENTION_MAX_DAYS,
        help_text="What judges and reviewers found. It may outlive the trace.",
    )
    feature_names = forms.CharField(
        label="Known features",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line. Others that arrive are kept and listed as new.",
    )

    @classmethod
    def of(cls, project: Project, data: Any = None) -> SettingsForm:
        """The form filled with what the project has; a time zone that is no place of the list stays what it is."""
        form = cls(
            data,
            initial={
                "name": project.name,
                "time_zone": project.time_zone,
                "retention_days": project.retention_days,
                "text_days": project.text_days,
                "score_days": project.score_days,
                "feature_names": "\n".join(project.feature_names),
            },
        )
        zones, own = time_zones(), project.time_zone
        if own not in dict(zones):
            form.fields["time_zone"].choices = [(own, visible(own)), *zones]  # type: ignore[attr-defined]
        return form

    def clean_feature_names(self) -> list[str]:
        """Names without repeats, in the order given."""
        names = list(dict.fromkeys(line.strip() for line in self.cleaned_data["feature_names"].splitlines()))
        names = [name for name in names if name]
        if len(names) > FEATURES_MAX:
            raise forms.ValidationError(f"At most {FEATURES_MAX} names; these are {len(names)}.")
        if any(len(name) > 200 for name in names):
            raise forms.ValidationError("A name has at most 200 characters.")
        return names

    def settings(self, rules: list[dict[str, str]]) -> ProjectSettings:
        """What was entered, as a value."""
        data = self.cleaned_data
        return ProjectSettings(
            data["name"],
            data["time_zone"],
            data["retention_days"],
            data["feature_names"],
            rules,
            text_days=data["text_days"],
            score_days=data["score_days"],
        )


class RuleForm(forms.Form):
    """One rule: traces whose root or service looks like the pattern belong to the feature. Empty rows fall away."""

    match = forms.ChoiceField(
        label="Where", choices=[("root_name", "Root span name"), ("service", "Service name")], required=False
    )
    pattern = forms.CharField(max_length=200, required=False)
    feature = forms.CharField(max_length=200, required=False)

    def clean(self) -> dict[str, Any]:
        """Both or neither."""
        data = super().clean() or {}
        pattern, feature = data.get("pattern", ""), data.get("feature", "")
        if pattern and not feature:
            self.add_error("feature", "Name the feature this pattern belongs to.")
        if feature and not pattern:
            self.add_error("pattern", "Give a pattern such as checkout*.")
        return data


if TYPE_CHECKING:
    RuleForms = forms.BaseFormSet[RuleForm]

RuleFormSet = forms.formset_factory(RuleForm, extra=2, max_num=50, absolute_max=60)


def rules_of(formset: RuleForms) -> list[dict[str, str]]:
    """The rules entered, in order."""
    rows = [form.cleaned_data for form in formset.forms if form.cleaned_data.get("pattern")]
    return [
        {"match": row["match"] or "root_name", "pattern": row["pattern"], "feature": row["feature"]} for row in rows
    ]


class InviteForm(forms.Form):
    """Somebody's address and the role they get."""

    email = forms.EmailField(
        label="Invite by e-mail",
        max_length=254,
        widget=forms.EmailInput(attrs={"placeholder": "name@company.com", "autocomplete": "off"}),
    )
    role = forms.ChoiceField(choices=ROLE_CHOICES, initial=Role.VIEWER)


class RoleForm(forms.Form):
    """A member's new role."""

    role = forms.ChoiceField(choices=ROLE_CHOICES)


class LimitForm(forms.Form):
    """How much a key may send."""

    spans_a_second = forms.IntegerField(
        label="At most so many spans a second",
        required=False,
        min_value=1,
        max_value=RATE_MAX,
        help_text="Log records and metric points count too. Beyond it senders are told to wait (429). "
        "Empty: as the installation says.",
    )


class OriginsForm(LimitForm):
    """How much a key for browsers may send, and from which pages."""

    origins = forms.CharField(
        label="Pages that may use it",
        required=False,
        max_length=ORIGINS_MAX * (ORIGIN_CHARS_MAX + 2),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false", "placeholder": "https://shop.example"}),
        help_text="For a key that only sends signals: origins as https://shop.example, one a line; * is any. "
        "Empty: no browser may use it.",
    )

    def clean_origins(self) -> tuple[str, ...]:
        """Origins as browsers write them."""
        try:
            return read_origins(re.split(r"[\s,]+", self.cleaned_data["origins"]))
        except OriginRefused as refused:
            raise forms.ValidationError(str(refused)) from None


class SignalsLimitForm(OriginsForm):
    """The same of a key that sends signals alone."""

    spans_a_second = forms.IntegerField(
        label="At most so many signals a second",
        required=False,
        min_value=1,
        max_value=RATE_MAX,
        help_text="Beyond it pages are told to wait (429). Empty: as the installation says.",
    )


class KeyForm(OriginsForm):
    """A new key."""

    field_order = ("name", "scopes", "spans_a_second", "origins")
    name = forms.CharField(max_length=120, help_text="Where it is used: checkout-service, notebook.")
    scopes = forms.MultipleChoiceField(
        label="It may",
        choices=[(scope, scope) for scope in SCOPES],
        initial=["ingest"],
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose at least one thing the key may do."},
    )

    def clean(self) -> dict[str, Any]:
        """A key that pages may use only sends signals."""
        data = super().clean() or {}
        try:
            check_origins(data.get("scopes", ()), data.get("origins", ()))
        except ValueError as error:
            self.add_error("origins", f"{error}"[:1].upper() + f"{error}"[1:] + ".")
        return data


class PersonField(forms.ModelChoiceField):  # type: ignore[type-arg] # it takes none while running
    """Somebody of an organisation, by name and address."""

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.user} ({obj.user.email})"


class TransferForm(forms.Form):
    """To whom an organisation's ownership goes."""

    to = PersonField(
        OrganisationMember.objects.none(), label="New owner", empty_label="Choose somebody of the organisation"
    )
    stays = forms.BooleanField(
        label="Stay as admin of its projects", required=False, initial=True, help_text="Else you leave them."
    )

    def __init__(self, *args: Any, organisation: Organisation, giver: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["to"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101
        people = OrganisationMember.objects.filter(organisation=organisation, user__is_active=True)
        choice.queryset = people.exclude(user=giver).select_related("user").order_by("user__email")


class OrganisationForm(forms.Form):
    """An organisation's name."""

    name = forms.CharField(max_length=120)
