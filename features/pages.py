"""What the admin shows of one content and of one user, put together for reading; `admin` renders it.

Everything is computed as serving would right now: the same snapshot, the same function. A content that the snapshot
does not have yet has a page with what there is.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from django.urls import reverse
from numpy.typing import NDArray

from events.cleaning.schema import EVENT_TYPES
from events.columnar.history import History
from events.queries import ContentCard, Visit, content, content_cards, profile, recent_history, recent_sessions
from features import profiles, store, trends
from features.charts import BandChart, SeriesRow, band_chart, series_rows
from features.extraction.assemble import assemble
from features.extraction.definitions import COUNTER_COLUMN, COUNTERS, DAY_S, FEATURES, HALF_LIVES_S, HOUR_S
from features.extraction.past import encounters, resolve
from features.extraction.profile import Profile
from features.extraction.snapshot import ContentSnapshot
from features.extraction.user import taste_vector
from features.models import ContentAnalysis, Embedding
from features.preference_rows import PreferenceRow, learned, stated
from features.shown_media import elsewhere, shown_url

NEIGHBOURS: Final = 12
EVENTS_SHOWN: Final = 30
SURFACE: Final = "for_you"
"""The surface that the features of a user are shown for."""
SESSIONS_SHOWN: Final = 10
MODALITIES: Final = ("text", "visual", "audio", "language")
# What the file itself says, as the analysis found it.
_FACTS: Final = (
    "media_type", "width", "height", "fps", "duration_s", "frames", "sample_rate", "loudness_db", "tempo_bpm",
    "language", "language_confidence",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """One feature with its meaning; `is_default` where nothing is known that would change it."""

    name: str
    value: float
    unit: str
    half_life: str
    default: float
    what: str
    is_default: bool


@dataclass(frozen=True, slots=True)
class CounterRow:
    """One signal with its decayed sums, in the order of `HALF_LIVES_S`."""

    signal: str
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A content in a row of pictures, with the number that put it there; `note` says what is special about it.

    `elsewhere` is the origin of its picture where pages may not show that, or "".
    """

    content_id: str
    url: str
    thumbnail_url: str
    caption: str
    score: float
    note: str
    elsewhere: str = ""


@dataclass(frozen=True, slots=True)
class ModalityRow:
    """How far one modality of a content is understood."""

    name: str
    state: str
    code: str
    detail: str
    encoder: str


@dataclass(frozen=True, slots=True)
class Analysis:
    """What was extracted from a content, and when. `facts` are names, values and their meaning."""

    state: str
    analysed_at: datetime | None
    attempts: int
    next_try_at: datetime | None
    took_s: float | None
    modalities: tuple[ModalityRow, ...]
    facts: tuple[tuple[str, Any, str], ...]


@dataclass(frozen=True, slots=True)
class VectorRow:
    """One stored vector of a content."""

    encoder: str
    as_of: datetime
    dimensions: int


@dataclass(frozen=True, slots=True)
class ContentPage:
    """Everything about one content. Lists are empty and `chart` is None where nothing is known yet.

    `media_elsewhere` is the origin of its media where pages may not show those, or "".
    """

    card: ContentCard
    uploaded: datetime
    media_url: str
    thumbnail_url: str
    media_elsewhere: str
    in_snapshot: bool
    as_of: datetime | None
    features: list[FeatureRow]
    context: list[FeatureRow]
    counters: list[CounterRow]
    half_lives: tuple[str, ...]
    neighbours: list[Tile]
    vectors: list[VectorRow]
    analysis: Analysis | None
    chart: BandChart | None
    series: list[SeriesRow]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of a user."""

    at: datetime
    kind: str
    about: Tile | None
    content_id: str
    watch_s: float | None


@dataclass(frozen=True, slots=True)
class UserPage:
    """Everything about one user that explains the feed; who they are is not part of it."""

    user_id: str
    has_profile: bool
    created_at: datetime | None
    stated: list[PreferenceRow]
    learned: list[PreferenceRow]
    counts: list[tuple[str, int]]
    first: datetime | None
    last: datetime | None
    events: list[EventRow]
    sessions: list[Visit]
    features: list[FeatureRow]
    context: list[FeatureRow]
    context_of: Tile | None
    taste: list[Tile]
    expected: list[Tile]


def content_url(content_id: str) -> str:
    """Address of the page of a content, whatever characters its id has."""
    return f"{reverse('admin:features_content_page')}?{urlencode({'id': content_id})}"


def user_url(user_id: str) -> str:
    """Address of the page of a user, whatever characters its id has."""
    return f"{reverse('admin:features_user_page')}?{urlencode({'id': user_id})}"


def content_page(content_id: str, *, now: datetime) -> ContentPage | None:
    """The page of a content; None where the catalogue has none of that id."""
    row = content(content_id) if _possible(content_id) else None
    if row is None:
        return None
    card = content_cards([content_id])[content_id]
    snapshot = store.snapshot()
    at = None if snapshot is None else snapshot.row_of.get(content_id)
    series = trends.series("content", content_id)
    shown = ContentPage(
        card=card,
        uploaded=row["upload_timestamp"],
        media_url=shown_url(card.media_url),
        thumbnail_url=shown_url(card.thumbnail_url),
        media_elsewhere=elsewhere(card.media_url) or elsewhere(card.thumbnail_url),
        in_snapshot=False, as_of=None, features=[], context=[], counters=[], half_lives=tuple(HALF_LIVES_S),
        neighbours=[], vectors=_vectors(content_id), analysis=_analysis(content_id), chart=band_chart(series),
        series=series_rows(series),
    )  # fmt: skip
    return shown if snapshot is None or at is None else _with_snapshot(shown, snapshot, at, now)


def user_page(user_id: str, *, now: datetime) -> UserPage | None:
    """The page of a user; None where there is neither a profile nor an event of that id."""
    known = profile(user_id) if _possible(user_id) else None
    history = recent_history(user_id) if _possible(user_id) else History.empty()
    if known is None and len(history) == 0:
        return None
    snapshot = store.snapshot()
    taste, expected = ([], []) if snapshot is None else (_taste(history, snapshot), _expected(history, snapshot))
    features, context = _rows_of_user(history, profiles.read(user_id), snapshot, expected, now)
    last = slice(-EVENTS_SHOWN, None)
    cards = content_cards({each for each in history.content_id[last].tolist() if each})
    moments = history.timestamp.tolist()
    preferences = {} if known is None else known["preferences"]
    return UserPage(
        user_id=user_id,
        has_profile=known is not None,
        created_at=None if known is None else known["created_at"],
        stated=stated(preferences),
        learned=learned(preferences),
        counts=Counter(EVENT_TYPES[kind] for kind in history.event_type.tolist()).most_common(),
        first=_moment(moments[0]) if moments else None,
        last=_moment(moments[-1]) if moments else None,
        events=_events(history, last, cards),
        sessions=recent_sessions(user_id, limit=SESSIONS_SHOWN),
        features=features, context=context, context_of=expected[0] if expected else None, taste=taste,
        expected=expected,
    )  # fmt: skip


def feature_rows(block: str, values: NDArray[np.float32]) -> list[FeatureRow]:
    """The features of one block with their values, in the order of the list."""
    listed = [feature for feature in FEATURES if feature.block == block]
    return [
        FeatureRow(
            feature.name, value, feature.unit, half_life(feature.half_life_s), feature.default, feature.what,
            is_default=bool(np.isclose(value, feature.default, rtol=1e-5, atol=1e-7)),
        )
        for feature, value in zip(listed, values.tolist(), strict=True)
    ]  # fmt: skip


def half_life(seconds: float | None) -> str:
    """A half-life as people write it; a dash where evidence does not fade."""
    if seconds is None:
        return "–"
    return f"{seconds / DAY_S:g} d" if seconds >= DAY_S else f"{seconds / HOUR_S:g} h"


def _with_snapshot(shown: ContentPage, snapshot: ContentSnapshot, at: int, now: datetime) -> ContentPage:
    """The page with what the snapshot says of the content in its row `at`."""
    blocks = assemble(History.empty(), snapshot, np.array([at], np.int64), now=now)
    state = snapshot.counters[at]
    signals = dict.fromkeys(signal for signal, _ in COUNTERS)
    counters = [
        CounterRow(signal, tuple(float(state[COUNTER_COLUMN[signal, label]]) for label in HALF_LIVES_S))
        for signal in signals
    ]
    changes = {
        "in_snapshot": True,
        "as_of": _moment(snapshot.until),
        "features": feature_rows("content", blocks.content[0]),
        "context": feature_rows("context", blocks.context[0]),
        "counters": counters,
        "neighbours": _neighbours(snapshot, at),
    }
    return ContentPage(**({name: getattr(shown, name) for name in ContentPage.__slots__} | changes))


def _neighbours(snapshot: ContentSnapshot, at: int) -> list[Tile]:
    """The contents nearest to the one in row `at`; empty where nothing is known of it that could be compared."""
    vector = snapshot.embedding[at]
    if not vector.any():
        return []
    rows, cosine = snapshot.index.search(vector, NEIGHBOURS + 1)
    others = np.flatnonzero(rows != at)[:NEIGHBOURS]
    return _tiles(snapshot, rows[others].tolist(), cosine[others].tolist())


def _vectors(content_id: str) -> list[VectorRow]:
    rows = Embedding.objects.filter(content_id=content_id).order_by("encoder", "as_of")
    return [VectorRow(*row) for row in rows.values_list("encoder", "as_of", "vector__len")]


def _analysis(content_id: str) -> Analysis | None:
    row = ContentAnalysis.objects.filter(content_id=content_id).first()
    if row is None:
        return None
    modalities = tuple(
        ModalityRow(
            name, getattr(row, f"{name}_state"), getattr(row, f"{name}_code"), getattr(row, f"{name}_detail"),
            str(row.versions.get(name, "")),
        )
        for name in MODALITIES
    )  # fmt: skip
    meaning = {field.attname: str(field.help_text) for field in ContentAnalysis._meta.concrete_fields}
    facts = tuple(
        (name.replace("_", " "), getattr(row, name), meaning[name])
        for name in _FACTS
        if getattr(row, name) not in (None, "")
    )
    return Analysis(
        row.get_state_display(), row.analysed_at, row.attempts, row.next_try_at, row.took_s, modalities, facts
    )


def _taste(history: History, snapshot: ContentSnapshot) -> list[Tile]:
    """The contents nearest to what the user enjoys; empty on a cold start."""
    vector = taste_vector(history, snapshot)
    if vector is None:
        return []
    rows, cosine = snapshot.index.search(vector, NEIGHBOURS)
    return _tiles(snapshot, rows.tolist(), cosine.tolist())


def _expected(history: History, snapshot: ContentSnapshot) -> list[Tile]:
    """Contents that the sequential model scores highest, unseen ones first; empty without a model or a past."""
    if snapshot.sequential is None:
        return []
    met = encounters(resolve(history, snapshot), snapshot)
    scores = snapshot.sequential.scores(met.row[met.worth > 0.0][::-1])
    seen = np.isin(np.arange(len(snapshot)), met.row)
    order = np.lexsort((-scores, seen))
    best = order[(scores[order] > 0.0) & snapshot.active[order]][:NEIGHBOURS]
    return _tiles(snapshot, best.tolist(), scores[best].tolist(), notes=["seen" if each else "" for each in seen[best]])


def _rows_of_user(
    history: History, person: Profile, snapshot: ContentSnapshot | None, expected: Sequence[Tile], now: datetime
) -> tuple[list[FeatureRow], list[FeatureRow]]:
    """The user's features, and those of the user with the content expected next."""
    if snapshot is None:
        return [], []
    rows = snapshot.rows([tile.content_id for tile in expected[:1]])
    blocks = assemble(history, snapshot, rows, now=now, profile=person, surface=SURFACE)
    return feature_rows("user", blocks.user), feature_rows("context", blocks.context[0]) if expected else []


def _events(history: History, last: slice, cards: Mapping[str, ContentCard]) -> list[EventRow]:
    """Events of a slice, newest first."""
    columns = (history.timestamp, history.event_type, history.content_id, history.watch_s)
    rows = [
        EventRow(
            _moment(at), EVENT_TYPES[kind], tile(cards[about]) if about in cards else None, about,
            None if np.isnan(watch_s) else watch_s,
        )
        for at, kind, about, watch_s in zip(*(column[last].tolist() for column in columns), strict=True)
    ]  # fmt: skip
    return rows[::-1]


def _tiles(
    snapshot: ContentSnapshot, rows: Sequence[int], scores: Sequence[float], notes: Sequence[str] | None = None
) -> list[Tile]:
    """Contents by row with their pictures; those the catalogue lost meanwhile are left out."""
    ids = [str(snapshot.content_id[row]) for row in rows]
    cards = content_cards(ids)
    noted = zip(ids, scores, notes or [""] * len(ids), strict=True)
    return [tile(cards[each], score, note) for each, score, note in noted if each in cards]


def tile(card: ContentCard, score: float = 0.0, note: str = "") -> Tile:
    """A content as a picture with a number; that it is not shown in feeds comes before any other note."""
    picture = shown_url(card.thumbnail_url)
    special = note if card.status == "active" else card.status
    blocked = elsewhere(card.thumbnail_url)
    return Tile(card.content_id, content_url(card.content_id), picture, card.caption, score, special, blocked)


def _possible(text: str) -> bool:
    """Whether an id could be one at all: PostgreSQL stores no NUL, and no text of broken surrogates."""
    try:
        return bool(text) and "\0" not in text and bool(text.encode())
    except UnicodeEncodeError:
        return False


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
