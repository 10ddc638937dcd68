"""What the log says of requests that were refused as planned."""

import logging

from events.errors import EXPECTED


class PlannedRefusals(logging.Filter):
    """Django writes an error for every answer of 500 and above; load that is shed is information."""

    def filter(self, record: logging.LogRecord) -> bool:
        """True where the record is written, at the level it deserves."""
        request = getattr(record, "request", None)
        if request is None or not request.META.get(EXPECTED):
            return True
        record.levelno, record.levelname = logging.INFO, "INFO"
        return logging.getLogger(record.name).isEnabledFor(logging.INFO)
