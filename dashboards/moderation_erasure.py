"""What moderation forgets: everything it knows of somebody who is erased, and by itself what is old and settled.

The moderation log stays: it names no reporter, and holds what was decided about a content or an author and why, which
has to be shown to authorities for as long as decisions can be challenged. What it says of a person is the id that the
host app gave them, and what people wrote is not in it.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from dashboards.history_models import ChangeHistory
from dashboards.moderation_models import Appeal, Report
from dashboards.screening_models import Screening, UploadSigns

BATCH = 10_000
NETWORKS_KEPT = timedelta(days=30)


@transaction.atomic
def erase_content(content_id: str) -> dict[str, int]:
    """Forget what the check and the history know of a content; returns rows removed by table."""
    return {
        "upload_signs": UploadSigns.objects.filter(content_id=content_id).delete()[0],
        "screening": Screening.objects.filter(content_id=content_id).delete()[0],
        "change_history": _forget_history([content_id]),
    }


@transaction.atomic
def erase_user(user_id: str) -> dict[str, int]:
    """Forget what a user reported and wrote, and what the check knows of their uploads; rows removed by table."""
    contents = list(UploadSigns.objects.filter(creator_id=user_id).values_list("content_id", flat=True))
    return {
        "moderation_report": Report.objects.filter(reporter_id=user_id).delete()[0],
        "moderation_appeal": Appeal.objects.filter(author_id=user_id).delete()[0],
        "screening": Screening.objects.filter(content_id__in=contents).delete()[0],
        "upload_signs": UploadSigns.objects.filter(creator_id=user_id).delete()[0],
        "change_history": _forget_history(contents),
    }


def drop_expired(*, now: datetime) -> dict[str, int]:
    """Drop reports that were settled, appeals, and verdicts of the check that are older than they are kept.

    The network a report came from is forgotten after 30 days, the report itself, as long as nobody has settled it,
    never. At most `BATCH` rows of each at once; the rest comes next time.
    """
    Report.objects.filter(reported_at__lt=now - NETWORKS_KEPT).exclude(network="").update(network="")
    before = now - timedelta(days=settings.REPORT_DAYS)
    checked = now - timedelta(days=settings.SCREENING_DAYS)
    old = {
        "moderation_report": Report.objects.filter(reported_at__lt=before).exclude(outcome=""),
        "moderation_appeal": Appeal.objects.filter(appealed_at__lt=before),
        "screening": Screening.objects.filter(at__lt=checked),
    }
    gone = {}
    for table, rows in old.items():
        some = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        gone[table] = rows.model._default_manager.filter(pk__in=some).delete()[0]
    return gone


def _forget_history(content_ids: list[str]) -> int:
    with connection.cursor() as cursor:
        # For this transaction; without it the database refuses.
        cursor.execute("SELECT set_config('recsys.erasing', 'on', true)")
    gone = ChangeHistory.objects.filter(table="content", row_id__in=content_ids).delete()[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('recsys.erasing', '', true)")
    return gone
