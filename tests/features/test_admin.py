from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from features.extraction.definitions import COUNTER_COLUMN
from features.materialize import materialize
from features.models import ContentFeatures, ContentWindow, Embedding
from tests.features.clips import CLIPS, NOW, raw, register, send


@pytest.fixture
def pages(db, snapshots, client):
    """A logged-in administrator, and one clip with a like."""
    register(CLIPS)
    send([raw("like", "u1", CLIPS[0], NOW)], now=NOW)
    materialize(until=NOW.replace(minute=0) + timedelta(hours=1))
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.mark.parametrize("model", [ContentFeatures, Embedding, ContentWindow])
def test_rows_can_be_read_and_not_changed(pages, model):
    listed = pages.get(reverse(f"admin:features_{model._meta.model_name}_changelist"))
    assert listed.status_code == 200
    row = model.objects.first()
    page = reverse(f"admin:features_{model._meta.model_name}_change", args=[row.pk])
    assert pages.get(page).status_code == 200
    assert pages.post(page, {}).status_code == 403


def test_counters_are_shown_by_name(pages):
    row = ContentFeatures.objects.get(content_id=CLIPS[0])
    assert row.vector[COUNTER_COLUMN["likes", "1d"]] == 1.0
    page = pages.get(reverse("admin:features_contentfeatures_change", args=[row.pk]))
    assert "likes 1d: 1.00" in page.content.decode()
