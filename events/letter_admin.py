"""The admin pages of dead letters: by reason, one by one, fixed and replayed, discarded with a note, exported.

Each thing one can do has a permission of its own: to look, to replay, to discard, to export, and to see the ids of
people, which are masked without it. Without that one nothing can be edited either, because what one edits one has to
see.
"""

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.db import Error
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from events import dead_letters, letter_work, replays, tasks, windows
from events.admin_base import ReadOnlyAdmin
from events.cleaning import masking
from events.models import DeadLetter, LetterWork

logger = logging.getLogger(__name__)

REVEAL = "events.reveal_deadletter"
REPLAY = "events.replay_deadletter"
DISCARD = "events.discard_deadletter"
EXPORT = "events.export_deadletter"
# What a page spends on settling letters; the rest goes on in the background.
PAGE_S = 2.0
# A cell that starts like a formula would be run as one by a spreadsheet.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class NoteForm(ActionForm):
    """The list's actions, with room for the note that discarding needs."""

    note = forms.CharField(required=False, label="Note", max_length=500)


class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = ("last_at", "code", "detail", "times", "state", "source")
    list_display_links = ("last_at", "code")
    list_filter = ("state", "code", "source")
    ordering = ("-last_at",)
    list_per_page = 50
    action_form = NoteForm
    actions = ("replay_letters", "discard_letters")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """To send a letter on; mended only with the permission to see people as well."""
        return request.user.has_perm(REPLAY)

    def has_discard_permission(self, request: HttpRequest) -> bool:
        """To settle a letter as not wanted."""
        return request.user.has_perm(DISCARD)

    def has_export_permission(self, request: HttpRequest) -> bool:
        """To take all letters away in a file."""
        return self.has_view_permission(request) and request.user.has_perm(EXPORT)

    def get_urls(self) -> list[URLPattern]:
        """The two exports, before the page of a letter takes their names for an id."""
        view = self.admin_site.admin_view
        return [
            path("export.csv", view(self.export_csv), name="events_deadletter_csv"),
            path("export.jsonl", view(self.export_jsonl), name="events_deadletter_jsonl"),
            *super().get_urls(),
        ]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        """The reason is written for whoever looks at it."""
        reveal = request.user.has_perm(REVEAL)

        @admin.display(description="Reason")
        def reason(letter: DeadLetter) -> str:
            return dead_letters.shown_detail(letter, reveal=reveal)[:120]

        return [reason if name == "detail" else name for name in self.list_display]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list below the reasons."""
        shown: dict[str, Any] = {"may_export": self.has_export_permission(request)}
        if self.has_view_permission(request):
            shown["groups"] = dead_letters.groups()
            shown["works"] = [(work, letter_work.in_words(work)) for work in letter_work.recent(now=timezone.now())]
            shown["hours_aside"] = {family: count for family, count in windows.set_aside().items() if count}
        return super().changelist_view(request, {**shown, **(extra_context or {})})

    @admin.action(description="Replay", permissions=["replay"])
    def replay_letters(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        self._work(request, LetterWork.Kind.REPLAY, letters)

    @admin.action(description="Discard (needs a note)", permissions=["discard"])
    def discard_letters(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> None:
        self._discard(request, letters)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """One letter: what was sent and why it was refused; fix, replay, discard."""
        del form_url
        if not self.has_view_permission(request):
            raise PermissionDenied
        letter = self.get_object(request, object_id)
        if letter is None:
            raise Http404
        text, refusal = None, ""
        if request.method == "POST":
            discards = "discard" in request.POST
            if not (self.has_discard_permission(request) if discards else self.has_replay_permission(request)):
                raise PermissionDenied
            if discards:
                if self._discard(request, DeadLetter.objects.filter(pk=letter.pk)):
                    return HttpResponseRedirect(reverse("admin:events_deadletter_changelist"))
            else:
                text, refusal = self._replay(request, letter)
                if not refusal:
                    return HttpResponseRedirect(reverse("admin:events_deadletter_changelist"))
            letter.refresh_from_db()
        page = {**self.admin_site.each_context(request), **self._shown(request, letter, text), **(extra_context or {})}
        page["refusal"] = refusal
        return TemplateResponse(request, "admin/events/deadletter/letter.html", page, status=422 if refusal else 200)

    def export_csv(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Every letter as a spreadsheet reads it."""
        return self._export(request, "text/csv; charset=utf-8", "csv", _csv_lines)

    def export_jsonl(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """Every letter as one JSON object per line."""
        return self._export(request, "application/x-ndjson", "jsonl", _json_lines)

    def _export(
        self, request: HttpRequest, kind: str, ending: str, lines: Callable[[Iterator[dict[str, Any]]], Iterator[str]]
    ) -> StreamingHttpResponse:
        if not self.has_export_permission(request):
            raise PermissionDenied
        letters = dead_letters.export(reveal=request.user.has_perm(REVEAL))
        response = StreamingHttpResponse(lines(letters), content_type=kind)
        response["Content-Disposition"] = f'attachment; filename="dead-letters.{ending}"'
        return response

    def _shown(self, request: HttpRequest, letter: DeadLetter, text: str | None) -> dict[str, Any]:
        reveal = request.user.has_perm(REVEAL)
        is_open = letter.state == DeadLetter.State.OPEN
        may_replay = is_open and self.has_replay_permission(request)
        return {
            "opts": self.opts,
            "title": "Dead letter",
            "letter": letter,
            "detail": dead_letters.shown_detail(letter, reveal=reveal),
            "payload": text if text is not None else dead_letters.shown_payload(letter, reveal=reveal),
            "sent_on": dead_letters.shown_sent_on(letter, reveal=reveal),
            "user_id": letter.user_id if reveal or letter.user_id is None else masking.MASK,
            "cut": dead_letters.is_cut(letter),
            "may_replay": may_replay,
            "may_edit": may_replay and reveal,
            "may_discard": is_open and self.has_discard_permission(request),
        }

    def _replay(self, request: HttpRequest, letter: DeadLetter) -> tuple[str | None, str]:
        """Replay one letter; the text to show again and why it was refused, empty if it was not."""
        text = request.POST.get("payload")
        edited = None
        if text is not None:
            if not request.user.has_perm(REVEAL):
                raise PermissionDenied
            # A browser sends line breaks its own way, and an untouched text is no edit.
            if text.replace("\r\n", "\n") != dead_letters.shown_payload(letter, reveal=True):
                edited = text.encode("utf-8", "surrogatepass")
        report = replays.replay(
            [letter.pk],
            now=timezone.now(),
            by=request.user.get_username(),
            edits={} if edited is None else {letter.pk: edited},
        )
        if report.failed:
            refusal = report.failed[letter.pk]
            return text if edited is not None else None, (
                refusal if request.user.has_perm(REVEAL) else masking.masked_refusal(refusal)
            )
        if letter.state == DeadLetter.State.OPEN:
            self.log_change(request, letter, "replayed" if edited is None else "edited and replayed")
        self.message_user(request, _in_words(report))
        return None, ""

    def _discard(self, request: HttpRequest, letters: QuerySet[DeadLetter]) -> bool:
        note = request.POST.get("note", "").strip()
        if not note:
            self.message_user(request, "Nothing was discarded: write a note that says why.", level=messages.ERROR)
            return False
        self._work(request, LetterWork.Kind.DISCARD, letters, note=note)
        return True

    def _work(
        self, request: HttpRequest, kind: LetterWork.Kind, letters: QuerySet[DeadLetter], *, note: str = ""
    ) -> None:
        """Begin to settle letters, and leave to the task what takes longer than a page has."""
        ids = letters.filter(state=DeadLetter.State.OPEN).order_by().values_list("pk", flat=True)
        who, now = request.user, timezone.now()
        assert who.pk is not None  # the admin asks who it is first
        work = letter_work.begin(kind, list(ids), user_id=who.pk, by=who.get_username(), now=now, note=note)
        try:
            work = letter_work.work_off(work.pk, now=now, limit_s=PAGE_S)
        except Error:
            # What is committed stays, and the task goes on; the row tells how far it came.
            logger.exception("%s stopped on the page", work)
            work.refresh_from_db()
        if work.done < work.total:
            tasks.enqueue_letters()
        level = messages.WARNING if work.failed or work.done < work.total else messages.SUCCESS
        self.message_user(request, letter_work.in_words(work), level=level)


def _in_words(report: replays.ReplayReport) -> str:
    if not report.stored + report.known + len(report.failed):
        return "Nothing to replay: already settled."
    parts = [f"{report.stored} stored"]
    if report.known:
        parts.append(f"{report.known} were in the log already")
    if report.conflicts:
        parts.append(f"{report.conflicts} of them with another payload, which stays")
    if report.failed:
        parts.append(f"{len(report.failed)} refused again")
    return f"{', '.join(parts)}."


def _csv_lines(letters: Iterator[dict[str, Any]]) -> Iterator[str]:
    # The mark tells spreadsheets that this is UTF-8.
    yield "\ufeff"
    for number, letter in enumerate(letters):
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        if number == 0:
            writer.writerow(letter)
        writer.writerow([_cell(value) for value in letter.values()])
        yield buffer.getvalue()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value


def _json_lines(letters: Iterator[dict[str, Any]]) -> Iterator[str]:
    for letter in letters:
        yield json.dumps(letter, ensure_ascii=False) + "\n"
