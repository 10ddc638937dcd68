"""The feed of a user as staff sees it: why each item is there, and nothing that happens by looking."""

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from ranking.feed import FeedRequest, build_feed
from ranking.feed_page import feed_url
from ranking.models import Served
from tests.ranking.feeds import Viewer

NEEDED = ("view_served", "view_userprofile", "view_event")


@pytest.fixture
def fan(champion) -> Viewer:
    """Somebody who watched four clips, with a model in service."""
    champion()
    viewer = Viewer("fan")
    for clip in range(4):
        viewer.watch(f"ocean-{clip:02d}")
    return viewer


def test_it_shows_sources_scores_expectations_moves_and_a_sentence(fan, admin_client):
    answer = admin_client.get(feed_url("fan"))
    page, text = answer.context["page"], answer.content.decode()
    assert answer.status_code == 200
    assert len(page.items) == 20
    assert any("Because you watched" in row.why.sentence for row in page.items)
    for row in page.items:
        figures = row.why.figures
        assert row.item.source in row.item.sources
        assert 0.0 < figures.heads["long_view"] < 1.0
        assert figures.terms
        assert sum(figures.signals.values()) == pytest.approx(row.item.score, abs=1e-3)
        assert figures.weights
    assert any(row.moves for row in page.items)
    assert {"sequential", "popular", "fresh"} <= {row.name for row in page.sources}
    for said in (page.config, page.feed.model_version, page.items[0].item.content.caption, "for diversity"):
        assert said in text


def test_looking_leaves_nothing_behind(fan, admin_client):
    first = admin_client.get(feed_url("fan")).context["page"]
    assert not Served.objects.exists()
    again = admin_client.get(feed_url("fan")).context["page"]
    shown = [{row.item.content_id for row in page.items} for page in (first, again)]
    # The same but for what exploration draws: nothing of it was delivered.
    assert len(shown[0] & shown[1]) >= 18


def test_without_a_snapshot_it_says_so(catalogue, admin_client):
    text = admin_client.get(feed_url("anybody")).content.decode()
    assert "There is no snapshot" in text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({}, 200, "Show the feed"),
        ({"id": "a\x00b"}, 400, "errornote"),
        ({"id": "mia", "surface": "friends"}, 400, "friends"),
        ({"id": "<b>mia"}, 200, "&lt;b&gt;mia"),
    ],
)
def test_what_cannot_be_shown_is_said(catalogue, admin_client, query, status, said):
    answer = admin_client.get(reverse("admin:ranking_feed_page"), query)
    assert answer.status_code == status
    assert said in answer.content.decode()


@pytest.mark.parametrize("missing", NEEDED)
def test_it_needs_every_one_of_its_permissions(catalogue, client, django_user_model, missing):
    staff = django_user_model.objects.create_user("staff", password="x", is_staff=True)
    granted = Permission.objects.filter(codename__in=set(NEEDED) - {missing})
    assert granted.count() == 2
    staff.user_permissions.set(granted)
    client.force_login(staff)
    assert client.get(feed_url("mia")).status_code == 403
    staff.user_permissions.set(Permission.objects.filter(codename__in=NEEDED))
    client.force_login(django_user_model.objects.get(pk=staff.pk))
    assert client.get(feed_url("mia")).status_code == 200


def test_it_is_for_staff_only(catalogue, client, django_user_model):
    client.force_login(django_user_model.objects.create_user("visitor", password="x"))
    assert client.get(feed_url("mia")).status_code == 302


def test_served_positions_link_to_it(fan, admin_client):

    build_feed(FeedRequest("fan", 1), now=fan.now)
    assert feed_url("fan") in admin_client.get(reverse("admin:ranking_served_changelist")).content.decode()
