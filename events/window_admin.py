"""The admin page of filled windows: which hours of the log failed and why, and the buttons that do them again."""

from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from events import windows
from events.admin_base import ReadOnlyAdmin
from events.letter_admin import REVEAL
from events.models import WindowFill

RETRY = "events.change_windowfill"


class WindowFillAdmin(ReadOnlyAdmin):
    list_display = ("window_start", "family", "state", "events", "attempts", "retry_at", "finished_at")
    list_filter = ("state", "family")
    ordering = ("-attempts", "-window_start")
    list_per_page = 50
    actions = ("try_again", "do_again")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Trying again needs the permission to change windows, although none is ever edited."""
        return request.user.has_perm(RETRY)

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The reason is written for whoever looks at it: the database quotes values of the event that it choked on."""
        reveal = request.user.has_perm(REVEAL)

        @admin.display(description="Reason")
        def reason(window: WindowFill) -> str:
            return window.error[:120] if reveal else window.error.partition(":")[0]

        return [*self.list_display, reason]

    def get_exclude(self, request: HttpRequest, obj: Any = None) -> list[str]:
        """See `get_list_display`."""
        return [] if request.user.has_perm(REVEAL) else ["error"]

    @admin.action(description="Try again", permissions=["retry"])
    def try_again(self, request: HttpRequest, chosen: QuerySet[WindowFill]) -> None:
        failed = list(chosen.filter(attempts__gt=0))
        count = windows.try_again([window.pk for window in failed])
        for window in failed:
            self.log_change(request, window, f"to be tried again after {window.attempts} attempts")
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, f"{count} will be done at the next run." if count else "None of them failed.", level)

    @admin.action(description="Do again at the next tick", permissions=["retry"])
    def do_again(self, request: HttpRequest, chosen: QuerySet[WindowFill]) -> None:
        hour = timedelta(seconds=windows.WINDOW_S)
        opened = sum(windows.reopen(fill.window_start, fill.window_start + hour, family=fill.family) for fill in chosen)
        self.message_user(request, f"{opened} hours will be done again.")
