"""Cells of the rollups against the raw log: the SQL that is shown behind a tile must give the number on the tile."""

import random
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection

from dashboards import ranges, rollups
from dashboards.kpis import KPIS
from dashboards.stats.periods import DAY, Grain, first_day, midnight, periods
from events import traffic
from events.catalogue import NewContent, register_contents
from tests.dashboards.conftest import event, send, view

pytestmark = pytest.mark.django_db
START = datetime(2026, 3, 5, tzinfo=UTC)
NOW = datetime(2026, 3, 19, 9, 30, tzinfo=UTC)
KINDS = ("like", "hide", "save", "complete_view", "replay", "unlike", "skip", "share", "follow", "report")
FIELDS = {"share": {"platform": "sms"}, "report": {"reason": "spam"}}


def busy_fortnight(seed):
    """Thirty users and a program over two weeks: requests that are answered after midnight, refusals, uploads."""
    rng = random.Random(seed)
    uploads = [START + timedelta(hours=rng.uniform(-90, 200)) for _ in range(25)]
    register_contents(
        NewContent(f"c{n}", f"k{n % 6}", uploaded, {"category": f"topic{n % 4}"}, duration_s=30.0)
        for n, uploaded in enumerate(uploads)
    )
    events = []
    for _ in range(170):
        user, moment = f"u{rng.randrange(30)}", START + timedelta(seconds=rng.randrange(14 * 86_400))
        if rng.random() < 0.3:
            # Late evening in New York: what follows comes after midnight.
            moment = moment.replace(hour=3, minute=rng.randrange(50, 60))
        request = None if rng.random() < 0.3 else f"00000000-0000-4000-8000-{rng.randrange(10**6):012d}"
        for _ in range(rng.randrange(1, 6)):
            content = f"c{rng.randrange(25)}"
            told = {"request_id": request, "session_id": f"s{user}", "additional_info": {"device": f"d{user}"}}
            events += [event("impression", user, moment, content, **told) for _ in range(rng.randrange(1, 3))]
            moment += timedelta(seconds=rng.choice([0, 1.25, 40, 300]))
            events.append(view(user, moment, rng.choice([0.5, 1.999, 2.0, 17.25, 400.0]), content, **told))
            if rng.random() < 0.4:
                moment += timedelta(seconds=rng.choice([0, 2, 600, 4000]))
                kind = rng.choice(KINDS)
                creator = {"creator_id": "k1"} if kind == "follow" else {}
                events.append(event(kind, user, moment, content, **told, **FIELDS.get(kind, {}), **creator))
            moment += timedelta(seconds=rng.choice([3, 30, 2400]), microseconds=rng.randrange(10**6))
    for n, uploaded in enumerate(uploads):
        if uploaded >= START:
            # Creators are among the users, so that some publish and watch.
            events.append(event("content_upload", f"k{n % 6}", uploaded, f"c{n}", creator_id=f"k{n % 6}", metadata={}))
            events.append(event("like", f"k{n % 6}", uploaded + timedelta(minutes=1), f"c{n}"))
    blind = START + timedelta(days=3, hours=2)
    events += [view("crawler", blind + timedelta(seconds=n), 0) for n in range(60)]
    return [each for each in events if each["timestamp"] < NOW.isoformat()]


def by_sql(kpi, period, zone):
    """The KPI's own SQL, run on the raw log."""
    earlier = midnight(first_day(period.first - DAY, _grain_of(period)), zone)
    values = {"start": period.start, "end": period.end, "before": earlier, "zone": zone.key}
    statement = re.sub(r"(?<!:):(start|end|before|zone)\b", r"%(\1)s", kpi.sql.replace("%", "%%"))
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        (found,) = cursor.fetchone()
    return None if found is None else float(found)


def _grain_of(period):
    days = (period.last - period.first).days + 1
    return {1: Grain.DAY, 7: Grain.WEEK}.get(days, Grain.MONTH)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kathmandu"])
def test_random_cells_equal_the_raw_log(settings, zone, analyst):
    settings.REPORTING_TIME_ZONE = zone
    send(*busy_fortnight(seed=len(zone)), now=NOW)
    traffic.mark_automated(until=NOW)
    rollups.measure_kpis(until=NOW)
    rng = random.Random(zone)
    first, last = ranges.span()
    filled = 0
    cells = [(kpi, grain) for kpi in KPIS for grain in kpi.grains]
    # Every KPI and grain once at least: more than fifty cells in each zone.
    for kpi, grain in [*cells, *rng.sample(cells, 20)]:
        place = ZoneInfo(zone)
        period = rng.choice(periods(first, last, grain, place))
        answer = analyst.get(
            f"/api/v1/metrics/{kpi.key}", {"grain": grain, "from": str(period.first), "to": str(period.first)}
        )
        points = {point["start"]: point["value"] for point in answer.json()["groups"][0]["points"]}
        found = points[period.start.strftime("%Y-%m-%dT%H:%M:%SZ")]
        expected = by_sql(kpi, period, place)
        equal = found is expected is None or found == pytest.approx(expected, rel=1e-9, abs=1e-9)
        assert equal, (kpi.key, grain, period, found, expected)
        filled += bool(found)
    assert filled > 50
