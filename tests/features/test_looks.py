"""Groups of contents that look the same follow the analyses."""

from datetime import UTC, datetime

import numpy as np
import pytest

from features.looks import looks_of
from features.models import ContentAnalysis

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)
pytestmark = pytest.mark.django_db


def analysed(content_id, hashes, *, at=NOW):
    ContentAnalysis.objects.update_or_create(
        content_id=content_id, defaults={"perceptual_hashes": hashes, "analysed_at": at, "source_updated_at": at}
    )


def test_a_copy_is_known_once_it_was_analysed(django_assert_num_queries):
    ids = np.array(["a", "b", "nobody knows"], object)
    analysed("a", [11, 22, 33, 44])
    analysed("b", [])
    assert looks_of(ids).tolist() == [-1, -1, -1]
    analysed("b", [11, 22, 33, 45], at=NOW.replace(minute=1))
    assert looks_of(ids).tolist() == [0, 0, -1]
    with django_assert_num_queries(1):
        assert looks_of(ids).tolist() == [0, 0, -1]
