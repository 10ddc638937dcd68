"""Every KPI as SQL over the raw log: what stands behind the (i) of a tile, and what the rollups are tested against.

Parameters: `:start` and `:end` of the period, `:before` the start of the one before it, `:zone` the reporting time
zone. The statements answer one number, NULL where the KPI has no value. They are written for reading, not for speed.
Staff (INTERNAL_USERS) are left out as well where the setting names any.
"""

from collections.abc import Mapping
from typing import Final

_PEOPLE: Final = """WITH people AS (
  SELECT *, (timestamp AT TIME ZONE :zone)::date AS day,
         coalesce('r ' || request_id, 's ' || session_id, '') AS occasion
  FROM event
  WHERE NOT additional_info ?| '{bot,internal}' AND NOT EXISTS (
    SELECT FROM automated_hour marked WHERE marked.user_id = event.user_id
      AND marked.window_start = date_trunc('hour', event.timestamp, 'UTC'))
)"""
_NOW: Final = "timestamp >= :start AND timestamp < :end"
_ACTIVE: Final = "event_type NOT IN ('impression', 'content_upload')"
_ENGAGED: Final = "event_type IN ('like', 'comment', 'share', 'save', 'follow')"
_WATCH: Final = "(additional_info->>'watch_duration')::float8"
_CLICKED: Final = f"({_ENGAGED} OR event_type = 'complete_view'\n             OR event_type = 'view' AND {_WATCH} >= 2)"

_USER_DAYS: Final = f"""
  (SELECT count(DISTINCT (user_id, day)) FROM people WHERE {_NOW} AND {_ACTIVE})"""
_WATCHED: Final = f""", pauses AS (
  SELECT *, extract(epoch FROM timestamp - lag(timestamp) OVER around) AS to_last,
         extract(epoch FROM lead(timestamp) OVER around - timestamp) AS to_next
  FROM (SELECT DISTINCT user_id, day, timestamp FROM people
        WHERE event_type IN ('impression', 'view', 'skip')) AS moments
  WINDOW around AS (PARTITION BY user_id, day ORDER BY timestamp)
), watched AS (
  SELECT people.*, round(1000 * least({_WATCH},
    greatest(coalesce(to_last, 'Infinity')::float8, coalesce(to_next, 'Infinity')::float8) + 2)) AS ms
  FROM people JOIN pauses USING (user_id, day, timestamp)
  WHERE event_type IN ('view', 'skip') AND {_WATCH} IS NOT NULL AND {_NOW}
)"""
_PER_USER_DAY: Final = f"""{_WATCHED}, per_user AS (
  SELECT coalesce(total.ms, 0) / 60000 AS minutes
  FROM (SELECT DISTINCT user_id, day FROM people WHERE {_NOW} AND {_ACTIVE}) AS active
  LEFT JOIN (SELECT user_id, day, sum(ms) AS ms FROM watched GROUP BY user_id, day) AS total USING (user_id, day)
)"""
_SHOWN: Final = f""", shown AS (
  SELECT user_id, day, occasion, request_id, content_id, min(timestamp) AS at FROM people
  WHERE event_type = 'impression' AND {_NOW} GROUP BY user_id, day, occasion, request_id, content_id
)"""


def _followed(condition: str) -> str:
    """Impressions that something follows: on the same day, or with a request within 24 hours.

    What was on screen again on the day of the click is clicked there.
    """
    return f"""
  (SELECT count(*) FROM shown WHERE EXISTS (
    SELECT FROM people WHERE people.user_id = shown.user_id AND people.occasion = shown.occasion
      AND people.content_id = shown.content_id AND {condition}
      AND (people.day = shown.day OR shown.request_id IS NOT NULL AND people.timestamp > shown.at
           AND people.timestamp <= shown.at + interval '24 hours' AND NOT EXISTS (
             SELECT FROM people again WHERE again.event_type = 'impression' AND again.day = people.day
               AND again.user_id = people.user_id AND again.occasion = people.occasion
               AND again.content_id = people.content_id))))"""


_IMPRESSIONS: Final = "(SELECT count(*) FROM shown)"
_SESSIONS: Final = """, sessions AS (
  SELECT *, round(extract(epoch FROM ended_at - started_at) * 1000) AS ms FROM session
  WHERE started_at >= :start AND started_at < :end AND EXISTS (
    SELECT FROM people WHERE people.user_id = session.user_id
      AND people.day = (session.started_at AT TIME ZONE :zone)::date)
)"""
_KEYED: Final = f"""EXISTS (
    SELECT FROM people WHERE people.user_id = sessions.user_id AND ({_ENGAGED} OR event_type = 'complete_view')
      AND people.day = (sessions.started_at AT TIME ZONE :zone)::date
      AND people.timestamp BETWEEN sessions.started_at AND sessions.ended_at)"""


def _count(*types: str) -> str:
    names = ", ".join(f"'{name}'" for name in types)
    return f"(SELECT count(*) FROM people WHERE event_type IN ({names}) AND {_NOW})"


def _select(value: str, *, tables: str = "") -> str:
    return f"{_PEOPLE}{tables}\nSELECT {value}"


def _share(part: str, whole: str, scale: str = "100.0") -> str:
    return f"{scale} * {part} / nullif({whole}, 0)"


def _trailing(days: int) -> str:
    return f"""
  (SELECT count(DISTINCT user_id) FROM people WHERE timestamp < :end AND {_ACTIVE}
     AND timestamp >= (:end AT TIME ZONE :zone - interval '{days} days') AT TIME ZONE :zone)"""


_PHASES: Final = f""", users AS (
  SELECT user_id, min(timestamp) AS first, bool_or({_NOW}) AS here,
         bool_or(timestamp >= :before AND timestamp < :start) AS there
  FROM people WHERE timestamp < :end AND {_ACTIVE} GROUP BY user_id
)"""


def _phase(condition: str) -> str:
    return _select(f"(SELECT count(*) FROM users WHERE {condition})", tables=_PHASES)


def _retained(after: int) -> str:
    return (
        _PEOPLE
        + f""", first AS (
  SELECT user_id, min(day) AS day FROM people WHERE {_ACTIVE} GROUP BY user_id
), cohort AS (
  SELECT * FROM first WHERE day >= (:start AT TIME ZONE :zone)::date AND day < (:end AT TIME ZONE :zone)::date
)
SELECT 100.0 * (SELECT count(*) FROM cohort WHERE EXISTS (
    SELECT FROM people WHERE people.user_id = cohort.user_id AND {_ACTIVE} AND people.day = cohort.day + {after}))
  / nullif((SELECT count(*) FROM cohort), 0)"""
    )


def _quantile(column: str, table: str, share: str, tables: str) -> str:
    return _select(f"(SELECT percentile_cont({share}) WITHIN GROUP (ORDER BY {column}) FROM {table})", tables=tables)


_EXPOSURES: Final = f"""{_SHOWN}, exposed AS (
  SELECT content_id, count(*) AS amount FROM shown GROUP BY content_id
)"""
_CREATORS: Final = f"""{_SHOWN}, exposed AS (
  SELECT creator_id, count(*) AS amount FROM shown JOIN content USING (content_id) GROUP BY creator_id
)"""
_GINI: Final = """(SELECT 2.0 * sum(place * amount) / (count(*) * sum(amount)) - (count(*) + 1.0) / count(*)
   FROM (SELECT amount, row_number() OVER (ORDER BY amount) AS place FROM exposed) AS ranked)"""
_ON_OFFER: Final = "(SELECT count(*) FROM content WHERE status = 'active' AND upload_timestamp < :end)"
_SHOWN_ON_OFFER: Final = (
    "(SELECT count(*) FROM content WHERE status = 'active'\n     AND content_id IN (SELECT content_id FROM exposed))"
)
# Contents that were shown before their upload do not make it more than all.
_COVERAGE: Final = _share(f"least({_SHOWN_ON_OFFER}, {_ON_OFFER})", _ON_OFFER)
_FIRST_SHOWN: Final = """, first_shown AS (
  SELECT content_id, min(timestamp) AS at FROM people WHERE event_type = 'impression' GROUP BY content_id
), delays AS (
  SELECT floor(extract(epoch FROM at - upload_timestamp)) / 3600 AS hours
  FROM first_shown JOIN content USING (content_id)
  WHERE at >= :start AND at < :end AND at >= upload_timestamp
)"""
_WATCH_MS: Final = "(SELECT sum(ms) FROM watched)"
_REGRETTED: Final = """(SELECT coalesce(sum(ms), 0) FROM watched WHERE EXISTS (
    SELECT FROM people WHERE people.user_id = watched.user_id AND people.content_id = watched.content_id
      AND people.day = watched.day AND people.event_type IN ('hide', 'report')
      AND people.timestamp >= watched.timestamp))"""
_UNATTRIBUTED: Final = f"""
  (SELECT count(*) FROM (
    SELECT user_id, day, occasion, request_id, content_id, min(timestamp) AS at FROM people
    WHERE {_NOW} AND content_id IS NOT NULL AND {_CLICKED}
    GROUP BY user_id, day, occasion, request_id, content_id) AS click
   WHERE NOT EXISTS (
    SELECT FROM people WHERE people.user_id = click.user_id AND people.occasion = click.occasion
      AND people.content_id = click.content_id AND people.event_type = 'impression'
      AND (people.day = click.day OR click.request_id IS NOT NULL AND people.timestamp < click.at
           AND people.timestamp >= click.at - interval '24 hours')))"""

SQL: Final[Mapping[str, str]] = {
    "dau": _select(f"count(DISTINCT user_id) FROM people WHERE {_NOW} AND {_ACTIVE}"),
    "active_users": _select(f"count(DISTINCT user_id) FROM people WHERE {_NOW} AND {_ACTIVE}"),
    "wau": _select(_trailing(7)),
    "mau": _select(_trailing(30)),
    "stickiness": _select(
        _share(f"(SELECT count(DISTINCT user_id) FROM people WHERE {_NOW} AND {_ACTIVE})", _trailing(30))
    ),
    "new_users": _phase("here AND first >= :start"),
    "returning_users": _phase("here AND there"),
    "resurrecting_users": _phase("here AND NOT there AND first < :start"),
    "dormant_users": _phase("there AND NOT here"),
    **{f"retention_d{after}": _retained(after) for after in (1, 7, 30)},
    "watch_min_per_user": _select(_share(f"coalesce({_WATCH_MS}, 0)", _USER_DAYS, "1 / 60000.0"), tables=_WATCHED),
    "watch_median_min": _quantile("minutes", "per_user", "0.5", _PER_USER_DAY),
    "watch_p90_min": _quantile("minutes", "per_user", "0.9", _PER_USER_DAY),
    "watch_h": _select(f"coalesce({_WATCH_MS}, 0) / 3.6e6", tables=_WATCHED),
    "sessions": _select("count(*) FROM sessions", tables=_SESSIONS),
    "sessions_per_user": _select(_share("(SELECT count(*) FROM sessions)", _USER_DAYS, "1.0"), tables=_SESSIONS),
    "session_mean_s": _select("avg(ms) / 1000 FROM sessions", tables=_SESSIONS),
    "session_median_s": _quantile("ms / 1000", "sessions", "0.5", _SESSIONS),
    "session_p90_s": _quantile("ms / 1000", "sessions", "0.9", _SESSIONS),
    "session_nonzero_mean_s": _select("avg(ms) / 1000 FROM sessions WHERE ms > 0", tables=_SESSIONS),
    "views_per_session": _select("avg(views) FROM sessions", tables=_SESSIONS),
    "engaged_session_rate": _select(
        f"100 * avg((ms > 10000 OR views >= 2 OR {_KEYED})::int) FROM sessions", tables=_SESSIONS
    ),
    "bounce_rate": _select(
        f"100 * avg((NOT (ms > 10000 OR views >= 2 OR {_KEYED}))::int) FROM sessions", tables=_SESSIONS
    ),
    "impressions": _select(_IMPRESSIONS, tables=_SHOWN),
    "views": _select(_count("view")),
    "ctr": _select(_share(_followed(_CLICKED), _IMPRESSIONS), tables=_SHOWN),
    "engagement_rate": _select(_share(_followed(_ENGAGED), _IMPRESSIONS), tables=_SHOWN),
    "engagement_per_view": _select(_share(_followed(_ENGAGED), _count("view")), tables=_SHOWN),
    "completion_rate": _select(_share(_count("complete_view"), _count("view"))),
    "skip_rate": _select(_share(_count("skip"), _count("view"))),
    "negative_rate": _select(_share(_count("hide", "report"), _IMPRESSIONS), tables=_SHOWN),
    "report_rate": _select(_share(_count("report"), _IMPRESSIONS, "1000.0"), tables=_SHOWN),
    "unattributed_clicks": _select(_UNATTRIBUTED),
    # A content may be on screen before the moment its upload is said to have been.
    "coverage": _select(f"least(100.0, {_COVERAGE})", tables=_EXPOSURES),
    "exposure_gini": _select(_GINI, tables=_EXPOSURES),
    "creator_gini": _select(_GINI, tables=_CREATORS),
    "first_impression_h": _quantile("hours", "delays", "0.5", _FIRST_SHOWN),
    "uploads": _select(_count("content_upload")),
    "publish_rate": _select(
        _share(
            f"(SELECT count(DISTINCT (user_id, day)) FROM people WHERE {_NOW} AND event_type = 'content_upload')",
            _USER_DAYS,
        )
    ),
    "night_share": _select(
        _share(
            "(SELECT coalesce(sum(ms), 0) FROM watched WHERE extract(hour FROM timestamp AT TIME ZONE :zone) < 5)",
            _WATCH_MS,
        ),
        tables=_WATCHED,
    ),
    "long_session_share": _select("100 * avg((ms > 7200000)::int) FROM sessions", tables=_SESSIONS),
    "regretted_share": _select(_share(_REGRETTED, _WATCH_MS), tables=_WATCHED),
    "excluded_share": f"{_PEOPLE}\nSELECT 100.0 * (1 - (SELECT count(*) FROM people WHERE {_NOW})::float8\n"
    f"  / nullif((SELECT count(*) FROM event WHERE {_NOW}), 0))",
    "late_share": f"SELECT 100.0 * count(*) FILTER (WHERE received_at > timestamp + interval '1 hour')\n"
    f"  / nullif(count(*), 0) FROM event WHERE {_NOW}",
}
