"""What serves: a model, and the weights that make one value of its heads."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ranking.ranker.bundle import Blocks, Manifest, ServingBundle
from ranking.ranker.value import TERMS, Policy, Segment, segment_of
from ranking.retrieval.retriever import Retriever


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a model says of n contents, and what that is worth.

    Attributes
    ----------
    value : float64 array (n,), in seconds of watching
    heads, terms : float32 arrays (n,) by name: what the model expects, and what each term adds to the value
    segment : of the user
    weights_version : of the policy
    """

    value: NDArray[np.float64]
    heads: Mapping[str, NDArray[np.float32]]
    terms: Mapping[str, NDArray[np.float32]]
    segment: Segment
    weights_version: int


@dataclass(frozen=True, slots=True)
class ValuedModel:
    """A bundle with the policy of the moment."""

    bundle: ServingBundle
    policy: Policy

    @property
    def version(self) -> str:
        """Of the model alone: weights change without training."""
        return self.bundle.version

    @property
    def feature_set(self) -> str:
        return self.bundle.feature_set

    @property
    def manifest(self) -> Manifest:
        return self.bundle.manifest

    @property
    def fusion(self) -> Mapping[str, float]:
        """Fitted factors on the weights of the session's signals, by name; empty where none were fitted."""
        return self.bundle.manifest.fusion

    @property
    def retriever(self) -> Retriever | None:
        """What finds candidates; None where the snapshot's own model does."""
        return self.bundle.retriever

    def score(self, blocks: Blocks) -> NDArray[np.float32]:
        """Chance of a long view, float32 (n,)."""
        return self.bundle.score(blocks)

    def score_rows(self, given: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32]:
        """The same with one row of user features per content."""
        return self.bundle.score_rows(given)

    def value(self, blocks: Blocks) -> Valuation:
        """Judge n contents for the user of the blocks; raises as `ServingBundle.heads` does."""
        heads, segment = self.bundle.heads(blocks), segment_of(blocks.user)
        terms = self.policy.terms(heads, segment)
        named = dict(zip(TERMS, terms.astype(np.float32).T, strict=True))
        told = dict(zip(self.bundle.outputs, heads.T, strict=True))
        return Valuation(terms.sum(axis=1), told, named, segment, self.policy.version)
