"""Emergency stops: the next response obeys, on open cursors too, and lifting restores exactly what was there."""

import pytest
from django.db import DatabaseError, transaction

from events import queries, stops
from events.catalogue import NewContent, register_content
from events.errors import Conflict, InvalidRequest, NotFound
from events.models import EmergencyStop
from tests.dashboards.cases import NOW, clip

pytestmark = pytest.mark.django_db
FACTS = {
    "one": ("ann", ["#Sea", "calm"], "song-1"), "two": ("bob", ["sea "], "song-2"), "three": ("bob", [], None),
    "four": ("cy", "no list", 7),
}  # fmt: skip


@pytest.fixture(autouse=True)
def catalogue():
    for content_id, (creator, tags, sound) in FACTS.items():
        register_content(NewContent(content_id, creator, NOW, {"caption": "x", "tags": tags, "sound_id": sound}))


def shown():
    ids = sorted(FACTS)
    listed = {each for each in ids if each in queries.eligible(ids)}
    assert listed == set(queries.eligible_cards(ids)) == set(queries.newest_contents(100)) & set(ids)
    assert listed == {each for each in ids if queries.running(each)}
    return listed


@pytest.mark.parametrize(
    ("kind", "value", "left"),
    [
        ("content", "one", {"two", "three", "four"}), ("creator", "bob", {"one", "four"}),
        ("tag", "#SEA", {"three", "four"}), ("tag", "calm", {"two", "three", "four"}),
        ("sound", "song-2", {"one", "three", "four"}), ("sound", "song", set(FACTS)), ("tag", "no list", set(FACTS)),
    ],
)  # fmt: skip
def test_a_stop_hides_all_it_names_and_nothing_else_and_lifting_it_restores_that(kind, value, left):
    made = stops.start(kind, value, reason="an accident", by=1, now=NOW)
    assert shown() == left
    stops.lift(made.pk, by=2, now=NOW)
    assert shown() == set(FACTS)


def test_the_same_stop_twice_is_one_and_lifting_twice_is_told():
    one = stops.start("tag", "sea", reason="a", by=1, now=NOW)
    assert stops.start("tag", " #Sea", reason="b", by=2, now=NOW).pk == one.pk
    stops.lift(one.pk, by=1, now=NOW)
    with pytest.raises(Conflict, match="lifted before"):
        stops.lift(one.pk, by=1, now=NOW)
    with pytest.raises(NotFound):
        stops.lift(one.pk + 1000, by=1, now=NOW)
    again = stops.start("tag", "sea", reason="c", by=1, now=NOW)
    assert again.pk != one.pk
    assert [each.pk for each in EmergencyStop.objects.filter(lifted_at=None)] == [again.pk]


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [("page", "x", "y"), ("tag", "#", "y"), ("creator", "", "y"), ("content", "x" * 300, "y"), ("content", "x", " ")],
)
def test_what_is_no_stop_is_refused(kind, value, reason):
    with pytest.raises(InvalidRequest):
        stops.start(kind, value, reason=reason, by=1, now=NOW)
    assert not EmergencyStop.objects.exists()


def test_the_database_refuses_to_drop_or_rewrite_a_stop():
    made = stops.start("creator", "bob", reason="an accident", by=1, now=NOW)
    rows = EmergencyStop.objects.filter(pk=made.pk)
    for change in (rows.delete, lambda: rows.update(value="ann"), lambda: rows.update(lifted_at=NOW)):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    stops.lift(made.pk, by=1, now=NOW)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        rows.update(lifted_at=None)


def test_leads_stop_and_lift_over_http_and_moderators_do_not(staff):
    lead, moderator = staff("moderation lead"), staff("moderator")
    body = {"kind": "creator", "value": "bob", "reason": "an accident"}
    assert moderator.post("/api/v1/moderation/stops", body, format="json").status_code == 403
    assert moderator.get("/moderation/stops/").status_code == 403
    made = lead.post("/api/v1/moderation/stops", body, format="json")
    assert made.status_code == 201
    assert shown() == {"one", "four"}
    page = lead.get("/moderation/stops/?kind=tag&value=%3Cscript%3E").content.decode()
    assert "creator <b>bob</b>" in page
    assert '<script>"' not in page
    stop_id = made.json()["stop_id"]
    assert lead.get("/api/v1/moderation/stops").json()["items"][0]["stop_id"] == stop_id
    lifted = lead.delete(f"/api/v1/moderation/stops/{stop_id}")
    assert lifted.status_code == 200
    assert shown() == set(FACTS)
    assert lead.delete(f"/api/v1/moderation/stops/{stop_id}").status_code == 409
    assert lead.post("/api/v1/moderation/stops", {**body, "kind": "page"}, format="json").status_code == 400
    assert lead.post("/api/v1/moderation/stops", {**body, "value": "a\0b"}, format="json").status_code == 400


def test_end_users_do_not_reach_a_stopped_content_and_the_host_app_does(as_user, server):
    path = "/api/v1/contents/one"
    assert as_user("mia").get(path).status_code == 200
    stops.start("tag", "calm", reason="an accident", by=1, now=NOW)
    assert as_user("mia").get(path).status_code == 404
    assert server.get(path).status_code == 200


def test_newest_contents_of_an_audience_obey_as_well():
    clip("extra", "bob")
    stops.start("creator", "bob", reason="an accident", by=1, now=NOW)
    assert "extra" not in queries.newest_contents(50)
