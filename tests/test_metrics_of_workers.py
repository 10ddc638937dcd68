"""What Prometheus reads of several web workers: the sum over all of them, whichever of them is asked."""

import os
import re
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.chaos.system import running
from tests.conftest import VAR_DIR

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
WORKERS, REQUESTS, SCRAPES = 4, 400, 10
TOKEN = "a-token-of-this-test"
COUNTED = "django_http_responses_total_by_status_view_method_total"
COUNTER = re.compile(rf'^{COUNTED}\{{method="GET",status="200",view="metric-definitions"\}} (\S+)$', re.M)


def test_four_workers_that_answered_four_hundred_requests_say_so_on_every_scrape():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEB_WORKERS", str(WORKERS))
        patch.setenv("METRICS_TOKEN", TOKEN)
        with running(VAR_DIR / "workers") as system:
            assert len(system.web_workers()) == WORKERS
            with ThreadPoolExecutor(16) as clients:
                asked = clients.map(lambda _: system.call("GET", "/api/v1/metrics/definitions").status, range(REQUESTS))
                assert set(asked) == {200}
            counts = []
            for _ in range(SCRAPES):
                # A connection of its own each time: another worker may answer.
                request = urllib.request.Request(f"http://127.0.0.1:{system.port}/metrics")
                request.add_header("Authorization", f"Bearer {TOKEN}")
                with urllib.request.urlopen(request, timeout=60) as answer:
                    counts.append(float(COUNTER.search(answer.read().decode()).group(1)))
            folder = system.var_dir / "prometheus" / "web"
            wrote = {name.rsplit("_", 1)[1] for name in os.listdir(folder) if name.startswith("counter_")}
            assert counts == [REQUESTS] * SCRAPES
            assert len(wrote) >= WORKERS, "one worker counted everything: the test proved nothing"
            closed = system.call("GET", "/metrics", key="not the token").status
            assert closed == 404
