"""Worlds of the feed's tests, each on top of the one before: empty, a catalogue, a snapshot, a model."""

# ruff: noqa: PLC0415  models load with Django, which is set up after this file
from collections.abc import Callable, Iterator
from typing import Any

import pytest


@pytest.fixture
def viewer() -> Any:
    """A new user."""
    from tests.ranking.feeds import Viewer

    return Viewer()


@pytest.fixture
def empty_catalogue(db: None, settings: Any, tmp_path: Any) -> Iterator[None]:
    """A database without contents, without a snapshot and without a model."""
    from features import store, trends
    from ranking import assignment, registry

    settings.SNAPSHOT_DIR = tmp_path / "snapshots"
    settings.MODEL_DIR = tmp_path / "models"
    # A busy machine must not decide what a test sees.
    settings.FEED_BUDGET_MS = 60_000
    registry.forget()
    assignment.forget()
    store.forget()
    trends.forget()
    yield
    registry.forget()
    assignment.forget()
    store.forget()
    trends.forget()


@pytest.fixture
def catalogue(empty_catalogue: None) -> None:
    """64 clips in four families, known to the database only."""
    from tests.ranking.feeds import register_catalogue

    register_catalogue()


@pytest.fixture
def snapshot(catalogue: None) -> None:
    """The catalogue with a past and the features of it."""
    from features import store
    from features.materialize import materialize
    from tests.ranking.feeds import NOW, ingest_past

    ingest_past()
    materialize(until=NOW)
    store.forget()


@pytest.fixture
def champion(snapshot: None) -> Callable[..., str]:
    """Promote a model that gives all contents about the same chance; a NaN bias makes one that breaks."""
    from tests.ranking.feeds import promote_model

    return lambda bias=0.0: promote_model(bias)


@pytest.fixture(scope="session")
def kept_training(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A training that is done once for all tests that only need what it left; see `KeptTraining`."""
    from tests.ranking.kept import KeptTraining

    return KeptTraining(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def no_keys() -> Iterator[None]:
    """No key is remembered from another test, and none of this one's later."""
    from events import authentication

    authentication.forget_keys()
    yield
    authentication.forget_keys()


@pytest.fixture
def server(db: None, no_keys: None) -> Any:
    """The host app."""
    from events import api_keys
    from tests.ranking.doors import client_of

    return client_of(api_keys.create_key("tests")[1])


@pytest.fixture
def user(db: None, no_keys: None) -> Any:
    """Mia."""
    from django.utils import timezone

    from events import client_tokens
    from tests.ranking.doors import client_of

    return client_of(client_tokens.mint("mia", now=timezone.now())[0])


@pytest.fixture
def page(db: None, no_keys: None) -> Any:
    """A page where nobody is logged in."""
    from events import api_keys
    from tests.ranking.doors import PAGE, client_of

    return client_of(api_keys.create_key("page", kind="publishable", origins=[PAGE])[1], Origin=PAGE)
