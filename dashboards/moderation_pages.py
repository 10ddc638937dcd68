"""The page of the moderation queue. It only frames: everything on it comes from the queue's own doors."""

from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from dashboards.casework.log import DECISIONS
from dashboards.casework.policies import POLICIES
from dashboards.moderation_facts import VIEWS
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
