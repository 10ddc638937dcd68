"""The admin's side of moderation: the list of contents acts through the log, and the log is an audit page for leads."""

import pytest
from django.utils import timezone

from dashboards import moderation
from dashboards.moderation_models import ModerationAction
from events import queries
from tests.dashboards.cases import case_of, clip, report

pytestmark = pytest.mark.django_db
CONTENTS = "/admin/events/content/"


def act(client, action, *contents):
    body = {"action": action, "_selected_action": contents}
    return client.post(CONTENTS, body, format="multipart", follow=True).content.decode()


def test_hiding_from_the_list_of_contents_stands_in_the_log_and_can_be_undone(staff):
    clip()
    client = staff("moderator")
    assert "1 of 1 contents are now hidden" in act(client, "hide", "c1")
    made = ModerationAction.objects.get()
    assert (made.kind, made.actor_id, made.policy) == ("hide", client.user.pk, "other")
    assert queries.content("c1")["status"] == "hidden"
    assert "0 of 1 contents are now hidden" in act(client, "hide", "c1")
    act(client, "make_active", "c1")
    assert queries.content("c1")["status"] == "active"
    report()
    assert queries.content("c1")["status"] == "active"


def test_what_a_colleague_is_looking_at_is_left_to_them(staff):
    clip()
    report()
    moderation.claim(case_of().case_id, moderation.Moderator(10**6), now=timezone.now())
    assert "somebody else is at this case" in act(staff("moderator"), "remove", "c1")
    assert queries.content("c1")["status"] == "active"


@pytest.mark.parametrize("page", ["moderationaction", "moderationcase", "report"])
def test_leads_see_who_did_what_and_moderators_do_not(staff, page):
    clip()
    report()
    path = f"/admin/dashboards/{page}/"
    assert staff("moderation lead").get(path).status_code == 200
    assert staff("moderator").get(path).status_code == (200 if page == "moderationcase" else 403)
    assert staff("analyst").get(path).status_code == 403
