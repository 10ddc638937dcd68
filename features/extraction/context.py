"""What a user's past says about particular contents: the crossing of user and content at a moment."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from features.embeddings.behaviour import SequentialItemModel
from features.extraction.definitions import AFFINITY_HALF_LIFE_S, CROSS_RATES, LAG_DECAY
from features.extraction.engagement import CODE
from features.extraction.habits import Habits, Weighted, named, places
from features.extraction.past import Encounters, Past
from features.extraction.population import Receptions
from features.extraction.preferences import preference_of
from features.extraction.profile import Profile
from features.extraction.snapshot import UNKNOWN, ContentSnapshot

Columns = dict[str, NDArray[np.float64]]
_CROSS_PLACES = {name: places(f"user_{name}", CROSS_RATES) for name in ("category", "creator")}
_SURFACE_PLACE = places("user_surface", {"7d": ("long_views",)})


def context_columns(
    past: Past,
    met: Encounters,
    followed: NDArray[np.int64],
    taste: NDArray[np.float32] | None,
    *,
    snapshot: ContentSnapshot,
    sequential: SequentialItemModel | None,
    rows: NDArray[np.int64],
    now: float,
) -> Columns:
    """What the user is to each content by affinity, taste and sequence, by feature name, each of length n = len(rows).

    Parameters
    ----------
    sequential : the model to ask; in training one that has not seen the future
    now : seconds since 1970 UTC
    """
    telling = np.flatnonzero(met.worth)
    row, value = met.row[telling], met.worth[telling]
    by_lag = np.power(LAG_DECAY, np.arange(len(telling), dtype=np.float64))
    by_time = np.exp2(-np.maximum(now - met.at[telling], 0.0) / AFFINITY_HALF_LIFE_S)
    category, creator = snapshot.category[row], snapshot.creator[row]
    wanted_category, wanted_creator = snapshot.category[rows], snapshot.creator[rows]
    zeros = np.zeros(len(rows))
    if sequential is None:
        scores = zeros
    else:
        scores = sequential.scores_of(met.row[met.worth > 0.0][::-1], rows).astype(np.float64)
    return {
        "taste_cosine": zeros if taste is None else cosines(snapshot.embedding[rows], taste),
        "sequential_score": scores,
        "category_affinity": affinity(category, value, by_lag, wanted_category),
        "category_affinity_1d": affinity(category, value, by_time, wanted_category),
        "creator_affinity": affinity(creator, value, by_lag, wanted_creator),
        "language_affinity": affinity(snapshot.language[row], value, by_lag, snapshot.language[rows]),
        "creator_followed": _member(wanted_creator, followed),
        "creator_refused": _member(wanted_creator, np.unique(snapshot.creator[met.row[met.refusal]])),
        "times_seen": np.log1p(_times(met, rows)),
        **_preferred(past, snapshot, wanted_category, wanted_creator),
    }


def habit_columns(
    met: Encounters, weighted: Weighted, all_habits: Habits, *, snapshot: ContentSnapshot, rows: NDArray[np.int64]
) -> Columns:
    """What the user did in the category and with the creator of each content, as decayed rates.

    They are pulled to the user's own rates over the same half-life.
    """
    prior = all_habits.rates()[0]
    columns: Columns = {}
    for name, code in (("category", snapshot.category), ("creator", snapshot.creator)):
        habits = weighted.by(code[met.row])
        place = habits.place(code[rows])
        columns[f"user_{name}_exposures_7d"] = np.log1p(habits.met("7d"))[place]
        columns |= named(habits.rates(prior)[place], _CROSS_PLACES[name])
        if name == "category":
            praise = float(all_habits.praise("7d")[0])
            columns["category_share"] = (habits.praise("7d") / praise if praise > 0.0 else habits.praise("7d"))[place]
    return columns


def surface_columns(
    met: Encounters, weighted: Weighted, all_habits: Habits, receptions: Receptions, surface: str
) -> dict[str, float]:
    """How the surface that is asked for is received, by everybody and by this user; "" asks for none in particular."""
    there = np.asarray((met.surface == surface) & (surface != ""), np.int32)
    habits = weighted.by(there - 1)
    mine, everything = float(habits.met("7d")[0]), float(all_habits.met("7d")[0])
    of_all = all_habits.rates()[0]
    rate = named(habits.rates(of_all), _SURFACE_PLACE)["user_surface_long_rate_7d"][0]
    return {
        "surface_long_rate": receptions.surface_rate(surface),
        "user_surface_long_rate": float(rate),
        "user_surface_share": mine / everything if everything > 0.0 else 0.0,
    }


def stated_columns(profile: Profile, snapshot: ContentSnapshot, rows: NDArray[np.int64]) -> Columns:
    """What the profile states about the category, the creator and the language of each content."""
    return {
        "category_stated": _stated(profile.categories, snapshot.categories, snapshot.category[rows]),
        "creator_stated": _stated(profile.creators, snapshot.creators, snapshot.creator[rows]),
        "language_stated": _stated(dict.fromkeys(profile.languages, 1.0), snapshot.languages, snapshot.language[rows]),
    }


def cosines(embedding: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """Products of rows with a vector, each by itself: a matrix product sums differently for 10 rows than for 300."""
    return np.asarray((embedding * vector).sum(axis=1), np.float64)


def affinity(
    code: NDArray[np.int32], value: NDArray[np.float64], weight: NDArray[np.float64], wanted: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Mean value per code, shrunk by one imagined neutral judgement: `sum(w v) / (sum(w) + 1)`.

    Parameters
    ----------
    code, value, weight : arrays (m,), the judgements; negative codes count for nothing
    wanted : array (n,), the codes to answer for; 0 for codes without a judgement

    >>> affinity(np.array([4, 4, 9]), np.array([1.0, 1.0, -1.0]), np.ones(3), np.array([9, 4, 5, -1])).tolist()
    [-0.5, 0.6666666666666666, 0.0, 0.0]
    """
    known = code >= 0
    codes, group = np.unique(code[known], return_inverse=True)
    if len(codes) == 0:
        return np.zeros(len(wanted))
    mass = np.bincount(group, weights=weight[known])
    mean = np.bincount(group, weights=(weight * value)[known]) / (mass + 1.0)
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[at] == wanted, mean[at], 0.0)


def _preferred(
    past: Past, snapshot: ContentSnapshot, category: NDArray[np.int32], creator: NDArray[np.int32]
) -> Columns:
    """What explicit feedback adds up to. A follow concerns the creator it names, other feedback that of its content."""
    of_content = np.append(snapshot.creator, np.int32(UNKNOWN))[past.row]
    of_event = np.where(past.creator != UNKNOWN, past.creator, of_content)
    follows = (past.event_type == CODE["follow"]) | (past.event_type == CODE["unfollow"])
    about_creator = np.where(follows, of_event, of_content)
    about_category = np.append(snapshot.category, np.int32(UNKNOWN))[past.row]
    return {
        "category_preference": _looked_up(preference_of(about_category, past.event_type), category),
        "creator_preference": _looked_up(preference_of(about_creator, past.event_type), creator),
    }


def _stated(
    wish_of: Mapping[str, float], vocabulary: NDArray[np.object_], code: NDArray[np.int32]
) -> NDArray[np.float64]:
    """The wish about each code's text, 0 where there is none."""
    if not wish_of:
        return np.zeros(len(code))
    return np.array([wish_of.get(vocabulary[each], 0.0) if each >= 0 else 0.0 for each in code.tolist()])


def _looked_up(value_of: dict[int, float], code: NDArray[np.int32]) -> NDArray[np.float64]:
    """The value of each code, 0 where there is none."""
    if not value_of:
        return np.zeros(len(code))
    codes = np.array(sorted(value_of), np.int64)
    values = np.array([value_of[each] for each in codes.tolist()], np.float64)
    at = np.minimum(np.searchsorted(codes, code), len(codes) - 1)
    return np.where(codes[at] == code, values[at], 0.0)


def _member(wanted: NDArray[np.int32], codes: NDArray[np.int64] | NDArray[np.int32]) -> NDArray[np.float64]:
    """1 where a wanted code is among the ascending codes, else 0; unknown codes never are."""
    if len(codes) == 0:
        return np.zeros(len(wanted))
    at = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.asarray((codes[at] == wanted) & (wanted >= 0), np.float64)


def _times(met: Encounters, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often each content was met; 0 for those that were not."""
    if len(met) == 0:
        return np.zeros(len(rows))
    order = np.argsort(met.row)
    at = np.minimum(np.searchsorted(met.row[order], rows), len(order) - 1)
    found = order[at]
    return np.where(met.row[found] == rows, met.times[found], 0.0)
