"""KuaiRand (kuairand.com, CC BY-SA 4.0): impressions of a real short-video app with twelve kinds of feedback.

Reads a folder with the official files, `-Pure` or another size:
- `video_features_basic_*.csv`: contents. The tag codes become tags, the first one the category.
- `user_features_*.csv`: demographics, as published (numbers as numbers; the data set's -124 for unknown is left out).
- `log_standard_*.csv`, every one: one row is one impression.
- `history_before_4_25.csv.gz`, where present: the last impressions of each user before the log, in order.
`video_features_statistic_*.csv` is never read: it adds up the whole month, so it knows the future of every event and
would leak it into features and evaluation.

One impression becomes, in order of time:

    impression     at time_ms
    view           at time_ms + play time, if anything was played; watch_duration in seconds, long_view as published
    complete_view  if played to the end; replay if played for more than 1.5 lengths
    skip           if played for less than 2 s and not to the end; never played is no skip, because in the grids of the
                   app (tab 0) that is a cover nobody opened
    like, follow, comment, share (forward), hide (hate), by their flags, after the view

What follows the impression is stamped when the watching ended, a millisecond apart, so that no feature read at the
moment of an impression knows its outcome. The tab is the surface. A play time beyond the length of the clip and one
hour is a player left running and is cut there. The log lists about 3 % of its impressions twice, with the same user,
video and millisecond: they become one.

The history has no times inside, only `last_time_ms`, the user's last one. Its impressions are spread backwards from
there in even steps of a minute, which keeps their order and puts them in one sitting; every such event carries
`time_estimated: true`, so that nobody mistakes the hour for data. A long view there is a view without a watch time.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from events.importers.rows import (
    ContentRow,
    Dataset,
    RawEvent,
    RecordError,
    SourceError,
    event_id,
    moment,
)
from events.importers.text import Dialect, delimited, header_of, opened, picker, profiles, real, table, whole

SOURCE = "kuairand"
NUMBERS = Dialect(quoting=False)
"""The logs hold numbers only: a stray quotation mark spoils its own row there, and does not swallow those after it."""
BEIJING = timezone(timedelta(hours=8))
"""Dates of upload are days of the app's home."""

SKIP_MS = 2_000
REPLAY_RATIO = 1.5
LONGEST_PLAY_MS = 3_600_000
HISTORY_STEP_MS = 60_000
UNKNOWN = "-124"
UNPUBLISHED = "not published"
"""Text of a comment and target of a forward: events carry them, the data set does not."""

LOG_COLUMNS = (
    "user_id", "video_id", "time_ms", "play_time_ms", "duration_ms", "long_view", "tab",
    "is_like", "is_follow", "is_comment", "is_forward", "is_hate",
)  # fmt: skip
HISTORY_COLUMNS = ("user_id", "pos_in_history", "video_id", "long_view", "is_like", "history_len", "last_time_ms")
VIDEO_COLUMNS = ("video_id", "author_id", "video_type", "upload_dt", "video_duration", "music_id", "tag")


def discover(folder: Path) -> Dataset:
    """The files of a KuaiRand folder, contents and users first; `SourceError` when there is no log."""
    logs = sorted(folder.glob("log_standard_*.csv*"))
    if not folder.is_dir() or not logs:
        raise SourceError(f"{folder} is no KuaiRand folder: it has no log_standard_*.csv.")
    videos = sorted(folder.glob("video_features_basic_*.csv*"))
    users = sorted(folder.glob("user_features_*.csv*"))
    histories = sorted(folder.glob("history_before_4_25.csv*"))
    return Dataset(
        SOURCE,
        (
            *(table(path, VIDEO_COLUMNS, _content) for path in videos),
            *(profiles(path, unknown={"", UNKNOWN}) for path in users),
            *(table(path, HISTORY_COLUMNS, _history_events, dialect=NUMBERS) for path in histories),
            *(table(path, LOG_COLUMNS, _log_converter(_authors(videos)), dialect=NUMBERS) for path in logs),
        ),
    )


def _authors(videos: list[Path]) -> dict[str, str]:
    """Creator of every video, for follows: the log names only the video."""
    authors: dict[str, str] = {}
    for path in videos:
        pick = picker(header_of(path), ("video_id", "author_id"), file=str(path))
        with opened(path) as (text, _):
            for _line, record in delimited(text):
                # A bad record is reported with its line when the file itself is imported.
                with suppress(RecordError):
                    video, author = pick(record)
                    authors[video] = author
    return authors


def _content(cells: tuple[str, ...]) -> ContentRow:
    """One row of the basic video features as a content."""
    video, author, video_type, upload_dt, duration, music, tag = cells
    try:
        uploaded = datetime.strptime(upload_dt, "%Y-%m-%d").replace(tzinfo=BEIJING)
    except ValueError as error:
        raise RecordError(f"upload_dt is no date: {upload_dt[:80]!r}") from error
    tags = [f"tag-{code.strip()}" for code in tag.split(",") if code.strip()]
    metadata: dict[str, Any] = {"tags": tags, "video_type": video_type}
    if tags:
        metadata["category"] = tags[0]
    if music not in {"", "0"}:
        metadata["music_id"] = music
    seconds = real(duration, "video_duration") / 1000 if duration else 0.0
    return ContentRow(video, author, uploaded.astimezone(UTC), metadata, duration_s=seconds if seconds > 0 else None)


def _log_converter(authors: Mapping[str, str]) -> Callable[[tuple[str, ...]], list[RawEvent]]:
    """A function making one row of the log into events; `authors` maps videos to their creators."""

    def convert(cells: tuple[str, ...]) -> list[RawEvent]:
        user, video, time_text, play_text, duration_text, long_view, tab, like, follow, comment, forward, hate = cells
        if '"' in user or '"' in video:
            raise RecordError(f"a stray quotation mark: user_id {user[:40]!r}, video_id {video[:40]!r}")
        start_ms, play_ms = whole(time_text, "time_ms"), whole(play_text, "play_time_ms")
        duration_ms = whole(duration_text, "duration_ms")
        if play_ms < 0:
            raise RecordError(f"play_time_ms is negative: {play_ms}")
        play_ms = min(play_ms, max(duration_ms, LONGEST_PLAY_MS))
        row = _RowEvents(
            "log", f"{user},{video},{time_text}", start_ms, user=user, video=video, extra={"surface": f"tab-{tab}"}
        )
        row.add("impression", start_ms)
        end_ms = start_ms + play_ms
        if play_ms > 0:
            row.add("view", end_ms, watch_duration=play_ms / 1000, long_view=long_view == "1")
            complete = play_ms >= duration_ms > 0
            if complete:
                row.add("complete_view", end_ms + 1)
                if play_ms > REPLAY_RATIO * duration_ms:
                    row.add("replay", end_ms + 2)
            elif play_ms < SKIP_MS:
                row.add("skip", end_ms + 1, watch_duration=play_ms / 1000)
        if "1" in (like, follow, comment, forward, hate):
            _add_flagged(row, end_ms, (like, follow, comment, forward, hate), authors.get(video))
        return row.events

    return convert


def _add_flagged(row: "_RowEvents", end_ms: int, flags: tuple[str, ...], author: str | None) -> None:
    """The rare deliberate signals of an impression, after its view."""
    like, follow, comment, forward, hate = (flag == "1" for flag in flags)
    if like:
        row.add("like", end_ms + 3)
    if follow:
        if not author:
            raise RecordError(f"is_follow names no creator: video {row.content_id!r} has no author_id")
        row.add("follow", end_ms + 4, creator_id=author)
    if comment:
        row.add("comment", end_ms + 5, comment_text=UNPUBLISHED)
    if forward:
        row.add("share", end_ms + 6, platform=UNPUBLISHED)
    if hate:
        row.add("hide", end_ms + 7)


def _history_events(cells: tuple[str, ...]) -> list[RawEvent]:
    """One row of the history before the log; its time is estimated from its distance to the user's last one."""
    user, position, video, long_view, like, length, last = cells
    steps = whole(length, "history_len") - 1 - whole(position, "pos_in_history")
    if steps < 0:
        raise RecordError(f"pos_in_history {position} is not below history_len {length}")
    start_ms = whole(last, "last_time_ms") - steps * HISTORY_STEP_MS
    row = _RowEvents("history", f"{user},{position}", start_ms, user=user, video=video, extra={"time_estimated": True})
    row.add("impression", start_ms)
    if long_view == "1":
        row.add("view", start_ms + 1, long_view=True)
    if like == "1":
        row.add("like", start_ms + 2)
    return row.events


class _RowEvents:
    """The events of one row: what they share is said once. Their ids depend on the row's key and start alone."""

    __slots__ = ("content_id", "events", "key", "kind", "shared", "start_ms")

    def __init__(self, kind: str, key: str, start_ms: int, *, user: str, video: str, extra: Mapping[str, Any]) -> None:
        self.kind, self.key, self.start_ms, self.content_id = kind, key, start_ms, video
        self.shared = {"user_id": user, "content_id": video, **extra}
        self.events: list[RawEvent] = []

    def add(self, event_type: str, at_ms: int, **fields: Any) -> None:
        self.events.append(
            {
                "event_id": event_id(SOURCE, self.kind, self.key, event_type, at_ms=self.start_ms),
                "event_type": event_type,
                "timestamp": moment(at_ms),
                **self.shared,
                **fields,
            }
        )
