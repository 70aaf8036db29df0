"""What was measured, what was wanted, and how both are told."""

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HEADWAY = "Headway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of one system. `target` is what Headway wants; `is_rate`: more is better, else less is."""

    measure: str
    system: str
    value: float
    unit: str
    target: float | None = None
    is_rate: bool = False
    note: str = ""


def milliseconds(measure: str, seconds: Sequence[float], *, system: str, **fields: Any) -> list[Figure]:
    """The figures p50 and p99 of some durations; `p50` and `p99` among the fields are their targets."""
    targets = {50: fields.pop("p50", None), 99: fields.pop("p99", None)}
    return [
        Figure(
            measure=f"{measure}, p{share}",
            system=system,
            value=percentile(seconds, share) * 1000,
            unit="ms",
            target=target,
            **fields,
        )
        for share, target in targets.items()
    ]


def percentile(values: Sequence[float], share: int) -> float:
    """The nearest-rank percentile; not a number if there are no values."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * share / 100) - 1, 0)] if ordered else math.nan


def table(figures: Sequence[Figure]) -> str:
    """The figures by measure, Headway first, each with its ratio to Headway's and Headway's own target."""
    own = {figure.measure: figure.value for figure in figures if figure.system == HEADWAY}
    lines = []
    for measure in dict.fromkeys(figure.measure for figure in figures):
        lines.append(measure)
        for figure in sorted((f for f in figures if f.measure == measure), key=_order):
            ratio = _ratio(figure, own.get(measure))
            told = f"{_told(figure.value)} {figure.unit}"
            lines.append(
                f"  {figure.system:<24}{told:>18}  {_judged(figure) or ratio}  {figure.note}".rstrip()
            )
    return "\n".join(lines)


def write(path: Path, figures: Sequence[Figure], *, options: Mapping[str, Any]) -> None:
    """All of it as JSON, with what must be known of the machine."""
    own = {figure.measure: figure.value for figure in figures if figure.system == HEADWAY}
    rows = [
        {**asdict(f), "value": round(f.value, 3), "headway_is_better_by": _times(f, own.get(f.measure))}
        for f in figures
    ]
    machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": os.getloadavg()[0]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine, "options": dict(options), "figures": rows}, indent=2) + "\n"
    )


def _order(figure: Figure) -> tuple[bool, float]:
    return figure.system != HEADWAY, -figure.value if figure.is_rate else figure.value


def _times(figure: Figure, own: float | None) -> float | None:
    """How many times better Headway's figure is; None of its own."""
    if own is None or figure.system == HEADWAY or not own or not figure.value:
        return None
    times = own / figure.value if figure.is_rate else figure.value / own
    return None if math.isnan(times) else round(times, 2)


def _ratio(figure: Figure, own: float | None) -> str:
    times = _times(figure, own)
    return "" if times is None else f"Headway is {times:g} times as good"


def _judged(figure: Figure) -> str:
    if figure.target is None:
        return ""
    reached = figure.value >= figure.target if figure.is_rate else figure.value <= figure.target
    sign = "≥" if figure.is_rate else "≤"
    return f"{'reached' if reached else 'MISSED'}: {sign} {_told(figure.target)}"


def _told(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"
