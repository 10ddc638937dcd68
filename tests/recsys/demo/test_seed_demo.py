"""The command on a tiny world, with real clips, a real database and the real ingestion."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection

from events.catalogue import set_moderation_state
from events.queries import content_cards, counts, demo_personas, interactions_between, log_span, recent_history
from recsys.demo.population import PERSONAS


@pytest.fixture(scope="module")
def media_root(tmp_path_factory):
    return tmp_path_factory.mktemp("media")


def seed(settings, media_root, **options):
    settings.MEDIA_ROOT = media_root
    said = StringIO()
    numbers = {"users": 15, "days": 4, "seed": 5, "variants": 1, **options}
    call_command("seed_demo", verbosity=0, stdout=said, **numbers)
    return said.getvalue()


@pytest.mark.django_db
def test_seeding_twice_adds_nothing_the_second_time(settings, media_root):
    said = seed(settings, media_root)
    once, span = counts(), log_span()
    assert (once.contents, once.users) == (4, 15)
    assert once.events > 50
    assert f"4 contents, 15 users and {once.events} events added, 0 events were known" in said

    said = seed(settings, media_root)
    assert counts() == once
    assert log_span() == span
    assert f"0 clips made, 0 contents, 0 users and 0 events added, {once.events} events were known" in said


@pytest.mark.django_db
def test_seeded_contents_point_at_files_that_exist(settings, media_root):
    seed(settings, media_root)
    cards = content_cards(["demo-ocean-00", "demo-neon-00"])
    card = cards["demo-ocean-00"]
    assert (card.category, card.status) == ("ocean", "active")
    assert card.caption
    assert "ocean" in card.tags
    assert card.media_url == "/media/demo/ocean-00.mp4"
    for url in (card.media_url, card.thumbnail_url):
        assert (media_root / url.removeprefix("/media/")).stat().st_size > 1_000


@pytest.mark.django_db
def test_seeded_events_are_an_ordinary_log(settings, media_root):
    seed(settings, media_root)
    start, end = log_span()
    log = interactions_between(None, end)
    assert (end - start).days <= 4
    assert set(log.contents) == {"demo-neon-00", "demo-ocean-00", "demo-petri-00", "demo-fractal-00"}
    assert demo_personas(2) == [(name, label) for name, label, _ in PERSONAS[:2]]
    assert len(recent_history(PERSONAS[0][0]).timestamp) > 0


@pytest.mark.django_db
def test_removed_demo_clip_stays_removed_when_seeded_again(settings, media_root):
    seed(settings, media_root)
    set_moderation_state("demo-petri-00", status="removed")
    seed(settings, media_root)
    assert content_cards(["demo-petri-00"])["demo-petri-00"].status == "removed"


@pytest.mark.django_db
def test_other_numbers_on_a_seeded_database_end_in_one_sentence_and_change_nothing(settings, media_root):
    seed(settings, media_root)
    before = counts()
    with pytest.raises(CommandError, match="another seed, number of users"):
        seed(settings, media_root, users=16)
    assert counts() == before


@pytest.mark.django_db
def test_clips_only_leaves_the_database_alone(settings, media_root):
    before = counts()
    said = seed(settings, media_root, clips_only=True)
    assert "clips made" in said
    assert counts() == before


def test_impossible_numbers_are_refused_by_name(settings, tmp_path):
    with pytest.raises(CommandError, match="users=0"):
        seed(settings, tmp_path, users=0)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_interrupted_seeding_leaves_no_half_world(settings, media_root):
    # The database refuses in the middle of the events, as a full disk would.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE event ADD CONSTRAINT plug CHECK (event_type <> 'complete_view')")
    with pytest.raises(IntegrityError, match="plug"):
        seed(settings, media_root)
    after = counts()
    assert (after.contents, after.users, after.events) == (0, 0, 0)
