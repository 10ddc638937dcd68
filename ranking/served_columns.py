"""What was served, as columns for whoever breaks figures down by source, model and arm."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from events.copy_out import TEXT, copy_out, decoded

# Served by the index served_once.
_SELECT: Final = """
    SELECT request_id, content_id, source, model_version, arm, surface
    FROM served JOIN unnest(%(requests)s::uuid[]) AS asked (request) ON request_id = asked.request
"""
_COLUMNS: Final = dict.fromkeys(("request_id", "content_id", "source", "model_version", "arm", "surface"), TEXT)


@dataclass(frozen=True, slots=True)
class ServedColumns:
    """Served positions: object arrays of str, all of the same length."""

    request: NDArray[np.object_]
    content: NDArray[np.object_]
    source: NDArray[np.object_]
    model_version: NDArray[np.object_]
    arm: NDArray[np.object_]
    surface: NDArray[np.object_]


def served_columns(request_ids: Sequence[str]) -> ServedColumns:
    """Every position of these requests; requests that nobody made give none."""
    table = copy_out(_SELECT, {"requests": list(request_ids)}, _COLUMNS)
    return ServedColumns(*(_texts(*decoded(table, name)) for name in _COLUMNS))


def _texts(code: NDArray[np.int32], vocabulary: NDArray[np.object_]) -> NDArray[np.object_]:
    return vocabulary[code] if len(vocabulary) else np.empty(0, object)
