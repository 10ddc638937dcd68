"""The WSGI entry point that granian serves."""

import gc
import os
from pathlib import Path

from django.conf import settings
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")

_django = get_wsgi_application()

from ranking import stock_keeper  # noqa: E402  what follows needs Django set up
from recsys.application import around  # noqa: E402
from recsys.even_load import evened  # noqa: E402

application = evened(around(_django), Path(settings.WEB_METRICS_DIR))

# From the files of the last snapshot, if there is one: else the first requests would wait for it.
stock_keeper.start()

# Everything loaded so far lives as long as the process; the collector need not look at it again.
gc.collect()
gc.freeze()
# A feed makes tens of thousands of objects that die by themselves; at the default of 700 each is looked at for cycles
# several times before.
gc.set_threshold(20_000, 20, 20)
