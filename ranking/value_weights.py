"""The weights of the value model: who set which when and why, and which serve now.

Every change is a new row and the newest row serves, so there is no state that could disagree with the history, and two
changes at the same moment are two versions, one after the other. Going back to an earlier version is a new version
with its weights. The table refuses changes and deletions by itself.

Web workers see a change within a second: `registry.champion` looks for the newest version with the same query that
looks for the champion. Without any row the defaults of the code serve, as version 0.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db.models import Subquery

from ranking.models import ValueWeights
from ranking.ranker.value import InvalidWeights, Policy

logger = logging.getLogger(__name__)


class UnknownWeightsError(LookupError):
    """No such version of the weights."""


def publish(weights: Mapping[str, Any], *, by: str, reason: str, now: datetime) -> int:
    """Let new weights serve; returns their version.

    Parameters
    ----------
    weights : segment to term to weight, every one of both
    by, reason : who and why, for the history

    Raises
    ------
    InvalidWeights : for weights that must not serve, and without a name or a reason
    """
    document = Policy.parse(0, weights).document()
    return _append(document, by=by, reason=reason, now=now, restores=None)


def restore(version: int, *, by: str, reason: str, now: datetime) -> int:
    """Let the weights of an earlier version serve again, as a new version, which is returned; 0 are the defaults.

    Raises
    ------
    UnknownWeightsError : for a version that there is not
    InvalidWeights : when the code of today refuses them, and without a name or a reason
    """
    policy = load(version)
    return _append(policy.document(), by=by, reason=reason, now=now, restores=version or None)


def current() -> Policy:
    """The newest weights, straight from the database."""
    version = ValueWeights.objects.order_by("-id").values_list("id", flat=True).first()
    return load(version or 0)


def load(version: int) -> Policy:
    """The weights of a version.

    Raises
    ------
    UnknownWeightsError : for a version that there is not
    InvalidWeights : when the code of today refuses them
    """
    if version == 0:
        return Policy.default()
    row = ValueWeights.objects.filter(pk=version).first()
    if row is None:
        raise UnknownWeightsError(f"there is no version {version} of the value weights")
    return Policy.parse(version, row.weights)


def newest() -> Subquery:
    """The newest version as a column of another query."""
    return Subquery(ValueWeights.objects.order_by("-id").values("id")[:1])


def _append(document: dict[str, Any], *, by: str, reason: str, now: datetime, restores: int | None) -> int:
    for what, text in (("name", by), ("reason", reason)):
        if not text.strip():
            raise InvalidWeights(f"a change of the weights needs a {what}, got {text!r}")
    row = ValueWeights.objects.create(
        weights=document, made_by=by.strip(), reason=reason.strip(), made_at=now, restores_id=restores
    )
    logger.info("value weights %s by %s: %s", row.pk, row.made_by, row.reason)
    return int(row.pk)
