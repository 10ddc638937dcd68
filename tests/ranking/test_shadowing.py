"""A shadow scores served pages afterwards, as they were served, each once, and serves none."""

from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from ranking import registry, shadowing
from ranking.models import ModelVersion, Served, ShadowPage
from tests.ranking.feeds import DIMS, NOW, PASSES, Viewer, indifferent_graph, page

LATER = NOW + timedelta(minutes=5)


def candidate(bias):
    return registry.register(
        indifferent_graph(bias), kind="mlp", dims=DIMS, config={}, metrics=PASSES, trained_until=NOW, now=NOW
    )


@pytest.fixture
def pages(champion):
    """Twelve served pages of a champion."""
    version = champion()
    return version, [page(Viewer(f"viewer-{number}"), limit=6) for number in range(12)]


def test_pages_are_scored_with_the_features_they_were_served_with(pages):
    serving, feeds = pages
    shadow = candidate(2.0)
    registry.shadow(shadow, 100, now=NOW)
    report = shadowing.score_pages(now=LATER)
    assert (report.version, report.pages, report.broken) == (shadow, 12, 0)
    row = ShadowPage.objects.get(request_id=feeds[0].request_id)
    logged = Served.objects.filter(request_id=feeds[0].request_id).order_by("position")
    content = np.stack([np.frombuffer(each.features, "<f4") for each in logged])[:, DIMS["user"] :][
        :, : DIMS["content"]
    ]
    expected = 1.0 / (1.0 + np.exp(-(2.0 + content.mean(axis=1) / 10.0)))
    assert np.frombuffer(row.scores, "<f4") == pytest.approx(expected, rel=1e-5)
    assert np.frombuffer(row.served_scores, "<f4") == pytest.approx(
        1.0 / (1.0 + np.exp(-content.mean(axis=1) / 10.0)), rel=1e-5
    )
    assert row.served_by == serving
    assert registry.champion_version() == serving
    assert page(Viewer("another")).model_version == serving


def test_no_page_is_scored_twice_and_later_ones_are(pages):
    registry.shadow(candidate(2.0), 100, now=NOW)
    shadowing.score_pages(now=LATER)
    assert shadowing.score_pages(now=LATER).pages == 0
    page(Viewer("newcomer", now=LATER))
    assert shadowing.score_pages(now=LATER + timedelta(minutes=1)).pages == 1
    assert ShadowPage.objects.count() == 13


def test_a_share_of_the_pages_is_scored(pages):
    registry.shadow(candidate(2.0), 50, now=NOW)
    assert 0 < shadowing.score_pages(now=LATER).pages < 12


def test_the_summary_tells_how_it_compares(pages):
    version = candidate(2.0)
    assert shadowing.summary(version) is None
    registry.shadow(version, 100, now=NOW)
    shadowing.score_pages(now=LATER)
    told = shadowing.summary(version)
    assert (told.pages, told.positions, told.broken_pct) == (12, 72, 0.0)
    # The same order: only the bias differs.
    assert (told.same_first_pct, told.agreement) == (100.0, 1.0)
    assert 0.2 < told.mean_gap < 0.5
    assert told.ms_per_page > 0


def test_a_shadow_that_breaks_is_counted_and_no_feed_breaks(pages):
    version = candidate(float("nan"))
    registry.shadow(version, 100, now=NOW)
    report = shadowing.score_pages(now=LATER)
    assert (report.pages, report.broken) == (12, 12)
    told = shadowing.summary(version)
    assert (told.broken_pct, told.agreement, told.mean_gap) == (100.0, None, None)
    assert page(Viewer("another")).fallback_level == "ranked"


def test_a_feed_asks_the_database_nothing_for_a_shadow_or_a_canary(pages):
    before = count_queries("alone")
    registry.shadow(candidate(2.0), 100, now=NOW)
    registry.canary(candidate(3.0), 100, now=NOW)
    page(Viewer("warm"))
    assert count_queries("together") == before


def test_a_canary_serves_its_users_and_the_log_says_so(pages):
    serving, _ = pages
    version = candidate(3.0)
    registry.canary(version, 50, now=NOW)
    found = {user: page(Viewer(user)).model_version for user in (f"u-{number}" for number in range(24))}
    assert set(found.values()) == {serving, version}
    again = {user: page(Viewer(user, now=LATER)).model_version for user in found}
    assert again == found
    assert dict(Served.objects.filter(user_id__in=found).values_list("user_id", "model_version")) == found


def test_without_a_shadow_nothing_happens(pages):
    assert shadowing.score_pages(now=LATER) == shadowing.ShadowReport(None, 0, 0)
    assert ModelVersion.objects.count() == 1


def count_queries(user):
    with CaptureQueriesContext(connection) as captured:
        page(Viewer(user))
    return len(captured)
