"""The KPI points in the admin, to look at and not to edit: they are rebuilt from the log."""

from django.contrib import admin
from django.http import HttpRequest

from dashboards import alert_admin, moderation_admin, screening_admin  # noqa: F401  they register their own pages
from dashboards.models import KpiPoint


@admin.register(KpiPoint)
class KpiPointAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # ModelAdmin takes no parameter at run time
    list_display = ("kpi", "grain", "day", "value")
    list_filter = ("kpi", "grain")
    date_hierarchy = "day"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: KpiPoint | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: KpiPoint | None = None) -> bool:
        return False
