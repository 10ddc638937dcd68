"""How numbers are written on the boards, as template filters; registered as a built-in library in the settings."""

from typing import Any

from django import template

register = template.Library()

ABSENT = "–"
HEAT_STEPS = 10


@register.filter
def amount(value: float | None) -> str:
    """Three significant figures below a thousand, separated thousands above, a dash for no value."""
    if value is None:
        return ABSENT
    if abs(value) >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.3g}"


@register.filter
def signed(value: float) -> str:
    """One decimal with its sign, also for a rise."""
    return f"{value:+.1f}"


@register.filter
def percent(share: float | None) -> str:
    """A share as a signed percentage."""
    return ABSENT if share is None else f"{100 * share:+.1f} %"


@register.filter
def chance(p: float) -> str:
    """A p-value: three decimals, and never a zero."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


@register.filter
def plain(value: float) -> str:
    """A number for SVG: a point, whatever the language of the page."""
    return f"{value:g}"


@register.filter
def heat(value: float | None) -> str:
    """The step of a heat map for a percentage: "" for no value, else 0 to 10."""
    return "" if value is None else str(min(int(value / 100.0 * HEAT_STEPS + 0.5), HEAT_STEPS))


@register.simple_tag
def changed(state: Any, **changes: Any) -> str:
    """The query string of a board's state with some of it changed."""
    return str(state.query(**changes))
