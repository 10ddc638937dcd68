"""A shadow and a canary are held against what came of served pages, on the exposures the champion is held against."""

from datetime import timedelta

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from events.ingestion import ingest
from ranking import registry, tried_out
from ranking.models import ModelOutcome, Served
from tests.ranking.feeds import DIMS, NOW, PASSES, Viewer, event, indifferent_graph, page

USERS, PAGE = 30, 10
LATER = NOW + timedelta(minutes=30)


def candidate(slope):
    return registry.register(
        indifferent_graph(0.0, slope), kind="mlp", dims=DIMS, config={}, metrics=PASSES, trained_until=NOW, now=NOW
    )


@pytest.fixture
def served(champion):
    """Pages whose users watch what the champion gives more than its middling chance to, and skip the rest."""
    version = champion()
    for number in range(USERS):
        viewer = Viewer(f"viewer-{number}")
        feed = page(viewer, limit=PAGE)
        rows = Served.objects.filter(request_id=feed.request_id)
        content = {
            row.content_id: float(np.frombuffer(row.features, "<f4")[DIMS["user"] :][: DIMS["content"]].mean())
            for row in rows
        }
        middle = float(np.median(list(content.values())))
        raw = []
        for place, (content_id, mean) in enumerate(sorted(content.items())):
            at = NOW + timedelta(seconds=20 * (place + 1))
            named = {"request_id": str(feed.request_id)}
            kind = ("view", {"watch_duration": 8.0}) if mean > middle else ("skip", {"watch_duration": 0.5})
            raw += [
                event("impression", viewer.user_id, content_id, at, **named),
                event(kind[0], viewer.user_id, content_id, at + timedelta(seconds=9), **named, **kind[1]),
            ]
        assert ingest(raw, now=LATER, source="test").accepted == len(raw)
    return version


def test_a_contrary_shadow_is_told_apart_and_may_not_be_promoted(served):
    shadow = candidate(-0.1)
    registry.shadow(shadow, 100, now=NOW)
    assert registry.unmet_gates(shadow) == ()
    (told,) = tried_out.measure(now=LATER)
    assert (told.version, told.champion, told.exposures, told.users) == (shadow, served, USERS * PAGE, USERS)
    assert told.long_views == USERS * PAGE / 2
    assert told.champion_auc > 0.7
    assert told.auc == pytest.approx(1.0 - told.champion_auc)
    assert told.difference_high < 0.0
    (sentence,) = registry.unmet_gates(shadow)
    assert sentence.startswith(f"clearly worse than {served} on 300 exposures that were served")
    with pytest.raises(registry.GateError, match="clearly worse"):
        registry.promote(shadow, now=LATER)


def test_a_canary_that_orders_alike_may_be_promoted(served):
    canary = candidate(0.2)
    registry.canary(canary, 10, now=NOW)
    (told,) = tried_out.measure(now=LATER)
    assert told.auc == pytest.approx(told.champion_auc)
    assert registry.unmet_gates(canary) == ()


def test_what_was_worse_than_an_earlier_champion_says_nothing_about_this_one(served):
    shadow, next_champion = candidate(-0.1), candidate(-0.2)
    registry.shadow(shadow, 100, now=NOW)
    tried_out.measure(now=LATER)
    registry.promote(next_champion, now=LATER)
    assert registry.unmet_gates(shadow) == ()


def test_pages_whose_ten_minutes_are_not_over_are_not_judged(served):
    registry.shadow(candidate(-0.1), 100, now=NOW)
    assert tried_out.measure(now=NOW + timedelta(minutes=9)) == []
    assert not ModelOutcome.objects.exists()


def test_the_page_of_a_model_shows_both(served, client, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    client.force_login(User.objects.create_superuser("root"))
    shadow = candidate(-0.1)
    registry.shadow(shadow, 100, now=NOW)
    address = reverse("admin:ranking_modelversion_change", args=[shadow])
    assert "by what came of served pages" not in client.get(address).content.decode()
    (told,) = tried_out.measure(now=LATER)
    shown = client.get(address).content.decode()
    assert "by what came of served pages" in shown
    assert f"{told.auc:.4f}" in shown
    assert f"{told.difference_low:+.4f} to {told.difference_high:+.4f}" in shown
