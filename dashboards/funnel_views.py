"""Pages of funnels and of saved views."""

from datetime import timedelta
from typing import Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from dashboards import funnels, ranges, saved_views
from dashboards.alert_serializers import group_json
from dashboards.funnels import DEFAULT_STEPS, MOST_DAYS, MOST_STEPS
from dashboards.query_params import steps_of
from dashboards.views import board_page, context_of, state_of
from events.cleaning.schema import EVENT_TYPES
from events.errors import ApiError

HOURS: Final = (1, 24, 72, 168, 720)


@board_page
def funnel(request: HttpRequest) -> HttpResponse:
    """How far users come, step after step; what the address asks wrongly is said, and the default shown."""
    params, state, error = request.GET, state_of(request), ""
    raw = [step for step in params.getlist("step") if step] or list(DEFAULT_STEPS)
    hours = next((each for each in HOURS if str(each) == params.get("within")), 24)
    by_country, groups = params.get("breakdown") == "country", []
    steps: tuple[str, ...] = DEFAULT_STEPS
    first = max(state.first, state.last - timedelta(days=MOST_DAYS - 1))
    try:
        steps = steps_of(",".join(raw))
        if ranges.span():
            found = funnels.table(first, state.last, steps, within=timedelta(hours=hours), by_country=by_country)
            groups = [group_json(each, steps) for each in found.groups]
    except ApiError as refused:
        error = refused.message
    slots = [*steps, *[""] * (MOST_STEPS - len(steps))]
    context = context_of(
        state, board="funnel", groups=groups, steps=steps, slots=slots, kinds=sorted(EVENT_TYPES), hours=HOURS,
        within=hours, first=first, error=error, by_country=by_country,
    )  # fmt: skip
    return render(request, "dashboards/funnel.html", context)


@board_page
def views_page(request: HttpRequest) -> HttpResponse:
    """One's own saved views and the shared ones."""
    context = context_of(state_of(request), board="views", views=saved_views.of(request.user))
    return render(request, "dashboards/views.html", context)


@board_page
@require_POST
def save_view(request: HttpRequest) -> HttpResponse:
    """Keep the page under a name."""
    post = request.POST
    try:
        kept = saved_views.keep(
            request.user, post.get("name", ""), post.get("address", ""), shared=post.get("shared") == "1",  # type: ignore[arg-type]  # board_page lets members of staff in only
            now=timezone.now(),
        )  # fmt: skip
    except ApiError as refused:
        messages.error(request, refused.message)
        return redirect("dashboards:views")
    messages.success(request, f"Saved as “{kept.name}”.")
    return redirect(f"{kept.path}?{kept.query}")


@board_page
@require_POST
def forget_view(request: HttpRequest, key: int) -> HttpResponse:
    """Remove one's own view."""
    if saved_views.forget(request.user, key):
        messages.success(request, "Removed.")
    else:
        messages.error(request, "There is no such view of yours.")
    return redirect("dashboards:views")
