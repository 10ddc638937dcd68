"""The page of the moderation queue, which only frames what the queue's own doors tell, and the transparency report."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from dashboards import moderation_figures
from dashboards.casework.log import DECISIONS
from dashboards.casework.policies import POLICIES
from dashboards.csv_text import csv_text
from dashboards.moderation_facts import VIEWS
from dashboards.moderation_numbers import COLUMNS, transparency
from dashboards.moderation_staff_api import moderator_of

KEYS: Final = {
    "approve": "a",
    "hide": "h",
    "remove": "r",
    "age_restrict": "o",
    "geo_block": "c",
    "feed_ineligible": "l",
    "warn": "w",
    "strike": "t",
    "suspend": "b",
    "restore": "v",
    "escalate": "e",
}
"""The key of each decision; those of the screen itself stand in its script."""
FIGURE_DAYS: Final = (7, 30, 90)


@never_cache
@ensure_csrf_cookie
@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """One case at a time, by keyboard or by touch. `recsys.roles` asks for the permission."""
    decisions = [
        {"kind": kind, "title": each.title, "key": KEYS[kind], "subjects": each.subjects, "restricts": each.restricts}
        for kind, each in DECISIONS.items()
    ]
    policies = [{"code": code, "title": each.title, "severity": each.severity} for code, each in POLICIES.items()]
    lead = moderator_of(request).lead
    config: dict[str, Any] = {"decisions": decisions, "policies": policies, "views": VIEWS, "lead": lead}
    context = {**admin.site.each_context(request), "title": "Moderation", "config": config, **config}
    return TemplateResponse(request, "moderation/queue.html", context)


@never_cache
@require_safe
def figures_page(request: HttpRequest) -> HttpResponse:
    """How moderation does; who decided how much is for leads. `recsys.roles` asks for the permission."""
    asked = request.GET.get("days", "")
    days, now = int(asked) if asked in map(str, FIGURE_DAYS) else FIGURE_DAYS[1], timezone.now()
    lead = moderator_of(request).lead
    found = moderation_figures.figures(now - timedelta(days=days), now)
    staff = User.objects.in_bulk([actor for actor, _ in found.by]) if lead else {}
    by = [(staff[actor].get_username() if actor in staff else f"staff {actor}", count) for actor, count in found.by]
    context = {
        **admin.site.each_context(request), "title": "Figures of moderation", "figures": found, "days": days,
        "choices": FIGURE_DAYS, "lead": lead, "by": by if lead else [],
    }  # fmt: skip
    return TemplateResponse(request, "moderation/figures.html", context)


@never_cache
@require_safe
def transparency_csv(request: HttpRequest) -> HttpResponse:
    """The transparency report of the days `from` to `to`, both included; by default of the last year. For leads."""
    if not moderator_of(request).lead:
        raise PermissionDenied
    today = timezone.now().astimezone(UTC).date()
    start = _day(request, "from", (today - timedelta(days=365)).isoformat())
    end = _day(request, "to", today.isoformat()) + timedelta(days=1)
    name = f"transparency-{start:%Y-%m-%d}-{end - timedelta(days=1):%Y-%m-%d}.csv"
    answer = HttpResponse(csv_text(COLUMNS, transparency(start, end)), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _day(request: HttpRequest, name: str, default: str) -> datetime:
    raw = request.GET.get(name, default)
    try:
        return datetime.strptime(raw, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise BadRequest(f"{name} must be a day such as 2026-11-25; got {raw[:40]!r}") from None
