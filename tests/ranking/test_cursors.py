"""Cursors cannot be made up, changed, borrowed or kept for ever, and lead to one page each."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.core import signing

from events.errors import InvalidRequest
from ranking import cursors
from ranking.cursors import Cursor

NOW = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
BINDING = cursors.binding_of("mia", {"limit": 10})
CURSOR = Cursor(UUID(int=7), 3, BINDING)


def code_of(text: str, binding: str = BINDING, now: datetime = NOW) -> str:
    with pytest.raises(InvalidRequest) as refused:
        cursors.read(text, binding=binding, now=now)
    return refused.value.code


def test_what_was_signed_is_read_again():
    text = cursors.sign(CURSOR, served_at=NOW)
    assert cursors.read(text, binding=BINDING, now=NOW) == CURSOR
    assert len(text) < cursors.MAX_CHARS / 2


def test_a_cursor_brings_the_last_positions_of_its_walk_in_order():
    shown = [f"clip-{number}" for number in range(14)]
    cursor = CURSOR.after(shown[:6]).after(shown[6:8]).after(shown[8:])
    again = cursors.read(cursors.sign(cursor, served_at=NOW), binding=BINDING, now=NOW)
    assert again.recall(set(shown)) == tuple(shown[5:])
    assert again.recall({"clip-13", "clip-2"}) == ("",) * 8 + ("clip-13",)
    assert CURSOR.recall(shown) == ()


def test_cursors_of_before_they_had_positions_are_still_good():
    ends = int(cursors.end_of(NOW).timestamp())
    for more in ([], [{"categories": ["a"]}], [None]):
        text = signing.Signer(salt="ranking.cursors").sign_object([UUID(int=7).hex, 3, BINDING, ends, *more])
        assert cursors.read(text, binding=BINDING, now=NOW) == Cursor(UUID(int=7), 3, BINDING, more[0] if more else {})


def test_every_changed_character_is_noticed():
    text = cursors.sign(CURSOR, served_at=NOW)
    for place, letter in enumerate(text):
        changed = text[:place] + ("A" if letter != "A" else "B") + text[place + 1 :]
        assert code_of(changed) == "invalid_cursor"


@pytest.mark.parametrize("text", ["", "x", ":", "é:x", "a" * 5_000, "\x00", "eyJhIjoxfQ:abc"])
def test_what_was_never_signed_is_refused(text):
    assert code_of(text) == "invalid_cursor"


def test_a_cursor_lives_at_least_half_an_hour_and_then_ends():
    text = cursors.sign(CURSOR, served_at=NOW)
    assert cursors.read(text, binding=BINDING, now=NOW + timedelta(minutes=119)) == CURSOR
    assert code_of(text, now=NOW + timedelta(minutes=121)) == "cursor_expired"


@pytest.mark.parametrize(("user_id", "limit"), [("ben", 10), ("mia", 11)])
def test_a_cursor_serves_its_own_user_and_parameters_only(user_id, limit):
    text = cursors.sign(CURSOR, served_at=NOW)
    assert code_of(text, binding=cursors.binding_of(user_id, {"limit": limit})) == "cursor_mismatch"


def test_a_cursor_does_not_tell_the_user():
    text = cursors.sign(Cursor(UUID(int=7), 3, cursors.binding_of("mia-with-a-name", {})), served_at=NOW)
    payload = text.split(":")[0]
    assert b"mia" not in base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))


def test_every_page_of_every_walk_has_an_id_of_its_own():
    ids = {Cursor(UUID(int=walk), page, BINDING).request_id for walk in range(50) for page in range(50)}
    assert len(ids) == 2_500
    assert Cursor(UUID(int=3), 0, BINDING).request_id == UUID(int=3)
