"""What the admin pages of every app share: rows to look at, not to edit, in lists that do not count millions."""

from collections.abc import Callable
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

ROW_PAGES: Final[dict[str, tuple[str, Callable[[Any], str]]]] = {}
"""Pages that later apps have about the rows of a list: by model label, what the link says and the row's address."""


MODERATE: Final[list[Callable[[str, str, int], bool]]] = []
"""How a later app, which keeps a log of it, changes the status of a content: (content id, status, key of the member of
staff) -> whether that changed anything. The last one counts; without any the catalogue is told directly."""


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # Paginator takes no parameter at run time
    """Pages through the first rows only: counting a log of millions would cost more than the page itself."""

    MOST_ROWS = 10_000

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[: self.MOST_ROWS].count())


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    """Rows to look at, not to edit."""

    class Media:
        css: ClassVar = {"all": ("recsys/events-admin.css",)}

    show_full_result_count = False
    paginator = BoundedPaginator

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The columns, and a last one with the link to another app's page about the row, where there is one."""
        columns = list(super().get_list_display(request))
        if self.opts.label_lower not in ROW_PAGES:
            return columns
        says, address = ROW_PAGES[self.opts.label_lower]

        @admin.display(description=says)
        def page(row: Any) -> SafeString:
            return format_html('<a href="{}" aria-label="{} of {}">{}</a>', address(row), says, row, says)

        return [*columns, page]

    def has_add_permission(self, request: HttpRequest) -> bool:
        del request
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False
