"""Paths of moderation: what apps call, the queue's own doors, and its page."""

from django.urls import include, path

from dashboards import moderation_api as api
from dashboards import moderation_pages as pages
from dashboards import moderation_staff_api as staff
from dashboards import moderation_views as views
from dashboards import stops_api as stops

_QUEUE = "api/v1/moderation"

_PAGES = [
    path("", pages.queue, name="queue"),
    path("stops/", stops.page, name="stops"),
    path("figures/", pages.figures_page, name="figures"),
    path("transparency.csv", pages.transparency_csv, name="transparency"),
]

urlpatterns = [
    path("moderation/", include((_PAGES, "moderation"))),
    path("api/v1/reports", api.ReportsView.as_view(), name="reports"),
    path("api/v1/reports/<uuid:report_id>", api.ReportView.as_view(), name="report"),
    path("api/v1/appeals", api.AppealsView.as_view(), name="appeals"),
    path("api/v1/users/<path:user_id>/decisions", api.DecisionsView.as_view(), name="decisions"),
    path(f"{_QUEUE}/cases", staff.CasesView.as_view(), name="moderation-cases"),
    path(f"{_QUEUE}/cases/next", staff.NextCaseView.as_view(), name="moderation-next"),
    path(f"{_QUEUE}/cases/<int:case_id>", staff.CaseView.as_view(), name="moderation-case"),
    path(f"{_QUEUE}/cases/<int:case_id>/claim", staff.ClaimView.as_view(), name="moderation-claim"),
    path(f"{_QUEUE}/cases/<int:case_id>/decisions", staff.DecideView.as_view(), name="moderation-decide"),
    path(f"{_QUEUE}/decisions/<uuid:decision_id>/undo", staff.UndoView.as_view(), name="moderation-undo"),
    path(f"{_QUEUE}/decisions/<uuid:decision_id>/appeal", staff.AnswerView.as_view(), name="moderation-answer"),
    path(f"{_QUEUE}/views", views.SavedViewsView.as_view(), name="moderation-views"),
    path(f"{_QUEUE}/views/<int:view_id>", views.SavedViewView.as_view(), name="moderation-view"),
    path(f"{_QUEUE}/stops", stops.StopsView.as_view(), name="moderation-stops"),
    path(f"{_QUEUE}/stops/<int:stop_id>", stops.StopView.as_view(), name="moderation-stop"),
    path(f"{_QUEUE}/bulk", staff.BulkView.as_view(), name="moderation-bulk"),
    path(f"{_QUEUE}/bulk/<uuid:batch>/undo", staff.UndoBulkView.as_view(), name="moderation-undo-bulk"),
]
