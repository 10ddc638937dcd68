"""Which arms a request is in, and what follows for it: configuration, model, weights, and what is logged.

No page asks the database for this: its first query brings a mark along, and a process reads what runs, with the models
of the arms, when the mark is another one. So a stop reaches the very next page. Whatever cannot be read leaves in place
what there was, and an arm whose model cannot be loaded serves the champion's pages.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.conf import settings
from django.db import InterfaceError, OperationalError

from ranking import registry
from ranking.experiment_lifecycle import draft_of
from ranking.experiment_models import Experiment
from ranking.experiment_queries import mark_of
from ranking.experiments.allocation import Allocation, held_out
from ranking.experiments.draft import Draft, InvalidExperiment, can_act
from ranking.experiments.overrides import MODEL, WEIGHTS, Overrides
from ranking.feed_config import FeedConfig, config_of
from ranking.feed_request import FeedRequest
from ranking.ranker.bundle import BundleError, ServingBundle
from ranking.ranker.value import Policy
from ranking.ranker.valued import ValuedModel
from ranking.shortlist import DEFAULT_ARM

logger = logging.getLogger(__name__)

RETRY_S: Final = 1.0
"""A model that cannot be loaded is tried again after so long."""
HOLDOUT_ARM: Final = "holdout"
_PROMOTED: Final = frozenset({MODEL, WEIGHTS})
"""Parts of a shipped arm that serve by another way: see `experiment_lifecycle.ship`."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """An arm that acts on a page, to be logged with it."""

    experiment: str
    phase: int
    arm: str


@dataclass(frozen=True, slots=True)
class Placement:
    """What one request is served by.

    Attributes
    ----------
    config : the feed's numbers
    changes : of the arms, in the order of their experiments
    bundle : the model of an arm; None for the champion
    arms : (experiment, arm) of all that can act on this page
    exposures : those of them that count
    label : the same for the log
    """

    config: FeedConfig
    changes: tuple[Overrides, ...] = ()
    bundle: ServingBundle | None = None
    arms: tuple[tuple[str, str], ...] = ()
    exposures: tuple[Exposed, ...] = ()
    label: str = DEFAULT_ARM

    def serving(self, champion: ValuedModel | None) -> ValuedModel | None:
        """The model and the weights to serve with."""
        bundle = self.bundle if champion is None else self.bundle or champion.bundle
        if bundle is None or not (self.bundle or any(WEIGHTS in each.parts for each in self.changes)):
            return champion
        policy = champion.policy if champion else Policy.default()
        for each in self.changes:
            policy = each.policy(policy)
        return ValuedModel(bundle, policy)


@dataclass(frozen=True, slots=True)
class Running:
    """One running experiment as requests read it."""

    told: Draft
    phase: int
    allocation: Allocation

    def arm_of(self, user_id: str) -> str | None:
        """The arm of a user; staff and programs by name take part only where somebody chose their arm."""
        if user_id in settings.INTERNAL_USERS and user_id not in self.told.chosen:
            return None
        return self.allocation.arm_of(user_id)


@dataclass(frozen=True, slots=True)
class Board:
    """What runs and what was shipped at one moment."""

    mark: str = ""
    running: tuple[Running, ...] = ()
    shipped: tuple[Overrides, ...] = ()
    bundles: Mapping[str, ServingBundle] = field(default_factory=dict)
    whole: bool = True
    configs: dict[tuple[str, str], FeedConfig] = field(default_factory=dict)

    def config(self, label: str, changes: Sequence[Overrides]) -> FeedConfig:
        """The usual configuration with what was shipped and what the arms of a label change.

        Made once: its version is a digest of every number, which takes longer than drawing the arm.
        """
        key = (settings.FEED_EXPLORER, label)
        if key not in self.configs:
            found = config_of(settings.FEED_EXPLORER)
            for each in changes:
                found = each.config(found)
            self.configs[key] = found
        return self.configs[key]


def place(request: FeedRequest, mark: str) -> Placement:
    """What a request is served by, by the mark that came with its first query; never raises."""
    board = _cache.follow(mark)
    if not board.running and not board.shipped:
        return Placement(config_of(settings.FEED_EXPLORER))
    if held_out(request.user_id, settings.EXPERIMENT_HOLDOUT):
        return Placement(config_of(settings.FEED_EXPLORER), label=HOLDOUT_ARM)
    explores = request.profiling and request.exploration != 0.0
    arms, exposures, changes = [], [], list(board.shipped)
    for each in board.running:
        if not can_act(each.told.parts, surface=request.surface, explores=explores):
            continue
        arm = each.arm_of(request.user_id)
        if arm is None:
            continue
        arms.append((each.told.key, arm))
        changes.append(next(known.overrides for known in each.told.arms if known.key == arm))
        if each.allocation.counts(request.user_id):
            exposures.append(Exposed(each.told.key, each.phase, arm))
    bundle = next((board.bundles.get(each.model) for each in changes if each.model), None)
    label = ",".join(f"{key}={arm}" for key, arm in arms) or DEFAULT_ARM
    return Placement(board.config(label, changes), tuple(changes), bundle, tuple(arms), tuple(exposures), label)


def running() -> tuple[Running, ...]:
    """What runs; asks the database."""
    rows = Experiment.objects.filter(state__in=("running", "shipped"))
    return _cache.follow(mark_of(rows)).running


def arms_of(user_id: str) -> list[tuple[Running, str]]:
    """Every running experiment that a user takes part in, with the arm; asks the database."""
    if held_out(user_id, settings.EXPERIMENT_HOLDOUT):
        return []
    return [(each, arm) for each in running() if (arm := each.arm_of(user_id)) is not None]


def forget() -> None:
    """Drop what this process knows, so that the next request looks at the database."""
    _cache.expire()


class _Cache:
    """The board of this process. A request that finds another one reading goes on with the old board."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed_at = float("-inf")
        self._board = Board()
        self._complained_of: set[str] = set()

    def expire(self) -> None:
        self._board = Board()
        self._failed_at = float("-inf")

    def follow(self, mark: str) -> Board:
        """The board of a mark; what cannot be loaded is tried again in a second, not by every request."""
        held = self._board
        if (held.mark == mark and held.whole) or time.monotonic() - self._failed_at < RETRY_S:
            return held
        if self._lock.acquire(blocking=False):
            try:
                self._board = self._read()
            finally:
                self._lock.release()
        return self._board

    def _read(self) -> Board:
        try:
            rows = list(
                Experiment.objects.filter(state__in=("running", "shipped")).order_by("shipped_at", "started_at", "key")
            )
        except (OperationalError, InterfaceError) as error:
            self._complain("the database", error)
            return self._board
        found = self._made(mark_of(rows), rows, self._board)
        if not found.whole:
            self._failed_at = time.monotonic()
        return found

    def _made(self, mark: str, rows: Sequence[Experiment], held: Board) -> Board:
        running, shipped = [], []
        for row in rows:
            try:
                told = draft_of(row)
            except InvalidExperiment as error:  # stored by a code that knew other parts
                self._complain(row.key, error)
                continue
            if row.state == Experiment.State.RUNNING:
                running.append(Running(told, row.phase, told.allocation(row.phase)))
            else:
                won = next(arm.overrides.document for arm in told.arms if arm.key == row.winner)
                shipped.append(Overrides({name: value for name, value in won.items() if name not in _PROMOTED}))
        wanted = {arm.overrides.model for each in running for arm in each.told.arms if arm.overrides.model}
        bundles: dict[str, ServingBundle] = {}
        for version in wanted:
            bundle = held.bundles.get(version) or self._loaded(version)
            if bundle is not None:
                bundles[version] = bundle
        return Board(mark, tuple(running), tuple(shipped), bundles, whole=len(bundles) == len(wanted))

    def _loaded(self, version: str) -> ServingBundle | None:
        try:
            return registry.load_version(version)
        except (registry.RegistryError, BundleError) as error:
            self._complain(version, error)
            return None

    def _complain(self, about: str, error: Exception) -> None:
        if about not in self._complained_of:
            logger.error("experiments go on without %s: %s", about, error)
            self._complained_of.add(about)


_cache = _Cache()
