"""What a scrape is told of the machine itself."""

import contextlib
import shutil
from typing import Final

from django.conf import settings
from prometheus_client import Gauge

DISK_FREE: Final = Gauge(
    "recsys_disk_free_bytes", "Room on the disk of models, snapshots and the embedded servers.",
    multiprocess_mode="mostrecent",
)  # fmt: skip


def measure_disk() -> None:
    """Set the gauge; a disk that cannot be asked keeps the last value."""
    with contextlib.suppress(OSError):
        DISK_FREE.set(shutil.disk_usage(settings.VAR_DIR).free)
