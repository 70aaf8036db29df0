"""Tags for pages and admin: status badges, trigger marks, times, durations, strips, icons."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from runs.durations import duration_words
from runs.faces import KINDS, Face, HasStatus, attempt_face, face
from runs.models import CircuitState
from runs.stats import Ended
from runs.strips import Result

register = template.Library()

CIRCUITS = {
    CircuitState.CLOSED: Face("succeeded", "closed", "green"),
    CircuitState.OPEN: Face("warning", "open", "red"),
    CircuitState.HALF_OPEN: Face("waiting", "half open", "amber"),
}

STRIP_LENGTH = 20
SLOTS_LENGTH = 60
FACTS_LIMIT = 12
# Height of a result's bar in the strip, so that shape says what colour says.
STRIP_HEIGHTS = {"green": 12, "red": 18, "blue": 15, "violet": 15, "amber": 15, "grey": 6}


@register.filter
def of(key: Any, names: Mapping[Any, Any]) -> Any:
    """What `names` has for `key`; "" for nothing."""
    return names.get(key, "")


@register.simple_tag
def icon(name: str) -> SafeString:
    """An icon of static/img/icons.svg; it says nothing that a word beside it doesn't."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def status(run: HasStatus, size: str = "") -> SafeString:
    """The badge of a run's status."""
    return _badge(face(run), size)


@register.simple_tag
def outcome(word: str) -> SafeString:
    """The badge of how an attempt ended."""
    return _badge(attempt_face(word), "")


@register.simple_tag
def circuit_state(state: str) -> SafeString:
    """The badge of a circuit breaker."""
    return _badge(CIRCUITS[CircuitState(state)], "")


def _badge(shown: Face, size: str) -> SafeString:
    if not shown.icon:
        return format_html("<span>{}</span>", shown.word)
    spinning = " spinning" if shown.word == "running" else ""
    return format_html(
        '<span class="badge {}{} {}">{}{}</span>', shown.colour, spinning, size, icon(shown.icon), shown.word
    )


@register.simple_tag
def kind(trigger_kind: str, is_retry: bool = False) -> SafeString:
    """The mark of a trigger kind: icon, colour and word; "–" for one that is not known."""
    word = KINDS.get(trigger_kind)
    if word is None:
        return SafeString("–")
    mark = format_html('{}<span class="visually-hidden">, a retry</span>', icon("retry")) if is_retry else ""
    return format_html('<span class="mark {}">{}{}{}</span>', trigger_kind, icon(trigger_kind), word, mark)


@register.simple_tag
def moment(at: datetime | str | None, form: str = "relative") -> SafeString:
    """A time: absolute here, and relative by time.js. `form`: relative, absolute or elapsed (since then)."""
    if not at:
        return SafeString("–")
    at = datetime.fromisoformat(at) if isinstance(at, str) else at
    local = timezone.localtime(at)
    attribute = "" if form == "relative" else format_html(" data-{}", form)
    return format_html(
        '<time datetime="{}" title="{}"{}>{}</time>',
        at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        f"{local:%Y-%m-%d %H:%M:%S %Z} · {at.astimezone(UTC):%H:%M:%SZ}",
        attribute,
        f"{local:%Y-%m-%d %H:%M:%S}",
    )


@register.filter
def duration(value: timedelta | float | None) -> str:
    """A duration, or seconds, for people."""
    return duration_words(value)


@register.filter
def spread(ended: Ended, name: str) -> str:
    """What half, and 95 %, of ended runs did not exceed: `4 ms / 21 ms`; `name` is wait or duration."""
    half = getattr(ended, f"{name}_p50_seconds")
    if not half:
        return "–"
    words = (duration_words(half), duration_words(getattr(ended, f"{name}_p95_seconds")))
    return " / ".join(word.replace(" ", "\N{NO-BREAK SPACE}") for word in words)


@register.filter
def percent(share: float | None) -> str:
    """A share from 0 to 1 as `98 %`; never 100 % while anything failed."""
    if share is None:
        return "–"
    shown = int(share * 1000) / 10
    return f"{shown:g} %"


@register.filter
def as_json(value: Any) -> str:
    """A value as readable JSON; the template escapes it."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def coded(text: str) -> SafeString:
    """A sentence whose `commands` between backticks are shown as code."""
    parts = text.split("`")
    return format_html_join(
        "",
        "{}",
        ((format_html("<code>{}</code>", part) if at % 2 else part,) for at, part in enumerate(parts)),
    )


@register.filter
def is_flat(value: Any) -> bool:
    """Whether a result is a few names with plain values, which read better as a list than as JSON."""
    if not isinstance(value, dict) or not 0 < len(value) <= FACTS_LIMIT:
        return False
    return all(item is None or isinstance(item, str | int | float) for item in value.values())


@register.filter
def shown_value(value: Any) -> str:
    """A value of JSON for people: texts as they are, everything else as JSON."""
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


@register.filter
def milliseconds(value: timedelta) -> str:
    """A wait with its milliseconds: it is what shows whether lanes work."""
    seconds = value.total_seconds()
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.3f} s"


@register.filter
def attempt_seconds(attempt: dict[str, Any]) -> float | None:
    """How long an attempt of `Run.history()` took; None while it goes on."""
    begun, ended = attempt.get("started_at"), attempt.get("finished_at")
    if not begun or not ended:
        return None
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds()


@register.filter
def words(name: str) -> str:
    """An event's kind for people: `cancel_requested` as `cancel requested`."""
    return name.replace("_", " ")


@register.simple_tag
def strip(results: list[Result]) -> SafeString:
    """The last results of a job, the newest at the right, as one picture with a sentence."""
    return _strip(results, most=STRIP_LENGTH, step=7, noun="runs")


@register.simple_tag
def slots(results: list[Result]) -> SafeString:
    """What became of the last slots of a schedule, the newest at the right: those without a run are hollow."""
    return _strip(results, most=SLOTS_LENGTH, step=4, noun="slots")


@register.simple_tag
def spark(values: Sequence[int], words: str) -> SafeString:
    """Numbers as small columns side by side, the oldest at the left; `words` say what they are."""
    highest = max([*values, 1])
    bars = format_html_join(
        "",
        '<rect class="fill-{}" x="{}" y="{}" width="4" height="{}"/>',
        (
            ("blue" if value else "grey", number * 5, 18 - height, height)
            for number, value in enumerate(values)
            for height in (max(round(value / highest * 18), 1),)
        ),
    )
    return format_html(
        '<svg class="strip" width="{0}" height="18" viewBox="0 0 {0} 18" role="img" aria-label="{1}: {2} in all,'
        ' at most {3}">{4}</svg>',
        len(values) * 5, words, sum(values), max(values, default=0), bars,
    )  # fmt: skip


@register.filter
def last_whole(values: Sequence[int]) -> int:
    """Of numbers by the minute, that of the last whole one: the minute now is not over."""
    return values[-2] if len(values) > 1 else 0


def _strip(results: list[Result], *, most: int, step: int, noun: str) -> SafeString:
    if not results:
        return SafeString('<span class="none">never ran</span>')
    shown = list(reversed(results[:most]))
    left, width = (most - len(shown)) * step, most * step
    bars = format_html_join(
        "", '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="1"/>', _bars(shown, left, step)
    )
    return format_html(
        '<svg class="strip" width="{0}" height="18" viewBox="0 0 {0} 18" role="img" aria-label="{1}">{2}</svg>',
        width,
        _strip_words(results[:most], noun),
        bars,
    )


def _bars(shown: list[Result], left: int, step: int) -> Iterator[tuple[str, float, float, float, float]]:
    wide = step - 1 if step < 5 else step - 2
    for number, result in enumerate(shown):
        one, x = face(result), left + number * step
        height = STRIP_HEIGHTS[one.colour]
        if result.run_id is None and result.status:
            # The line of a hollow bar has its own width, half of which would lie outside of it.
            yield f"hollow {one.colour}", x + 0.5, 18.5 - height, wide - 1, height - 1
        else:
            yield f"fill-{one.colour}", x, 18 - height, wide, height


def _strip_words(results: list[Result], noun: str) -> str:
    counted: dict[str, int] = {}
    for result in results:
        word = face(result).word
        counted[word] = counted.get(word, 0) + 1
    words = ", ".join(f"{number} {word}" for word, number in counted.items())
    return f"Last {len(results)} {noun}: {words}; the newest {face(results[0]).word}"


@register.simple_tag(takes_context=True)
def section_link(context: template.Context, name: str, word: str) -> SafeString:
    """A link of the bar, marked when the page shown lies under it."""
    url = reverse(name)
    is_here = context["request"].path.startswith(url)
    return format_html(
        '<a href="{}"{}>{}</a>', url, SafeString(' aria-current="page"') if is_here else "", word
    )
