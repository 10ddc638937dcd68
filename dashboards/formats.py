"""How numbers are written on the boards, as template filters; registered as a built-in library in the settings."""

from django import template

register = template.Library()

ABSENT = "–"


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
