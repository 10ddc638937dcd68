"""The admin pages of dead letters: who sees what, fix and replay once, discard with a note, exports."""

import csv
import io
import json

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from events.dead_letters import Refused, keep
from events.models import DeadLetter, Event
from tests.events.conftest import NOW, make_event

pytestmark = pytest.mark.django_db
LIST = "admin:events_deadletter_changelist"


@pytest.fixture
def letter():
    event = make_event("view", watch_duration=None, user_id="anna", additional_info={"a": "<script>x</script>"})
    keep(
        [Refused(json.dumps(event).encode(), "missing_field", "watch_duration: required; got None", "anna")],
        now=NOW,
        source="api",
    )
    return DeadLetter.objects.get()


def log_in(client, *names, superuser=False):
    user = User.objects.create_user("staff", is_staff=True, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=[f"{name}_deadletter" for name in names]))
    client.force_login(user)
    return client


def page_of(letter):
    return reverse("admin:events_deadletter_change", args=[letter.pk])


def test_without_permission_every_page_is_closed(client, letter):
    log_in(client)
    names = [
        reverse(LIST),
        page_of(letter),
        reverse("admin:events_deadletter_csv"),
        reverse("admin:events_deadletter_jsonl"),
    ]
    assert [client.get(name).status_code for name in names] == [403] * 4


def test_a_viewer_sees_reasons_and_no_people_and_settles_nothing(client, letter):
    log_in(client, "view")
    listed, shown = client.get(reverse(LIST)).content.decode(), client.get(page_of(letter)).content.decode()
    assert "missing_field" in listed
    for page in (listed, shown):
        assert "anna" not in page
        assert "<script>x" not in page
    assert "<textarea" not in shown
    for data in ({"replay": "1"}, {"discard": "1", "note": "x"}):
        assert client.post(page_of(letter), data).status_code == 403
    client.post(reverse(LIST), {"action": "replay_letters", "_selected_action": [letter.pk]})
    assert DeadLetter.objects.get().state == "open"


# What each permission adds to looking: replay, edit and replay, discard, export, see people.
ACTIONS = ("replay", "edit", "discard", "export", "see")
MAY = {
    (): (),
    ("view",): (),
    ("view", "change", "delete", "add"): (),
    ("replay", "discard", "export", "reveal"): (),
    ("view", "replay"): ("replay",),
    ("view", "discard"): ("discard",),
    ("view", "export"): ("export",),
    ("view", "reveal"): ("see",),
    ("view", "replay", "reveal"): ("replay", "edit", "see"),
    ("view", "replay", "discard", "export", "reveal"): ACTIONS,
}


def attempt(client, action, letter, text):
    """Try one action by every way there is to it; whether it was done."""
    if action == "export":
        answers = [client.get(reverse(f"admin:events_deadletter_{kind}")) for kind in ("csv", "jsonl")]
        return {answer.status_code for answer in answers} == {200}
    if action == "see":
        page = client.get(page_of(letter))
        return page.status_code == 200 and "anna" in page.content.decode()
    if action == "discard":
        client.post(page_of(letter), {"discard": "1", "note": "why"})
        client.post(reverse(LIST), {"action": "discard_letters", "_selected_action": [letter.pk], "note": "why"})
        return DeadLetter.objects.get().state == "discarded"
    if action == "replay":
        client.post(page_of(letter), {"replay": "1"})
        client.post(reverse(LIST), {"action": "replay_letters", "_selected_action": [letter.pk]})
        return DeadLetter.objects.get().state == "replayed"
    client.post(page_of(letter), {"replay": "1", "payload": text})
    return DeadLetter.objects.get().note == "edited"


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("names", MAY, ids=lambda names: "+".join(names) or "nothing")
def test_each_action_needs_its_own_permission(client, names, action):
    event = make_event(user_id="anna")
    keep([Refused(json.dumps(event).encode(), "too_late", "late", None)], now=NOW, source="api")
    letter = DeadLetter.objects.get()
    log_in(client, *names)
    assert attempt(client, action, letter, json.dumps({**event, "content_id": "c2"})) == (action in MAY[names])


@pytest.mark.parametrize("names", MAY, ids=lambda names: "+".join(names) or "nothing")
def test_the_pages_offer_what_is_allowed_and_nothing_else(client, letter, names):
    log_in(client, *names)
    if "view" not in names:
        assert {client.get(page).status_code for page in (reverse(LIST), page_of(letter))} == {403}
        return
    shown, listed = client.get(page_of(letter)).content.decode(), client.get(reverse(LIST)).content.decode()
    offered = {
        "replay": 'name="replay"' in shown and "replay_letters" in listed,
        "edit": "<textarea" in shown,
        "discard": 'name="discard"' in shown and "discard_letters" in listed,
        "export": "Export CSV" in listed,
        "see": "anna" in shown,
    }
    assert {action for action, there in offered.items() if there} == set(MAY[names])


def test_the_list_groups_by_reason(client, letter):
    keep(
        [Refused(b"1", "malformed", "no object", None), Refused(b"2", "malformed", "no object", None)],
        now=NOW,
        source="api",
    )
    page = log_in(client, superuser=True).get(reverse(LIST))
    assert [(group.code, group.open) for group in page.context["groups"]] == [("malformed", 2), ("missing_field", 1)]
    assert client.get(reverse(LIST), {"state__exact": "open", "code": "malformed"}).context["cl"].result_count == 2


def test_an_edited_letter_is_replayed_once(client, letter):
    log_in(client, superuser=True)
    text = client.get(page_of(letter)).context["payload"]
    refused = client.post(page_of(letter), {"payload": text, "replay": "1"})
    assert (refused.status_code, "Refused again: missing_field" in refused.content.decode()) == (422, True)
    fixed = json.dumps({**json.loads(text), "watch_duration": 4})
    for _ in range(2):
        answer = client.post(page_of(letter), {"payload": fixed, "replay": "1"}, follow=True)
    assert "already settled" in answer.content.decode()
    assert Event.objects.get().user_id == "anna"
    letter.refresh_from_db()
    assert (letter.state, letter.note, letter.settled_by) == ("replayed", "edited", "staff")


def test_a_mended_letter_shows_what_was_sent_on(client, letter):
    log_in(client, superuser=True)
    text = client.get(page_of(letter)).context["payload"]
    client.post(page_of(letter), {"payload": json.dumps({**json.loads(text), "watch_duration": 4}), "replay": "1"})
    page = client.get(page_of(letter))
    assert json.loads(page.context["sent_on"])["watch_duration"] == 4
    assert "What was sent on" in page.content.decode()
    [row] = client.get(reverse("admin:events_deadletter_jsonl")).getvalue().decode().splitlines()
    assert json.loads(json.loads(row)["sent_on"])["watch_duration"] == 4


def test_a_refusal_on_the_page_names_nobody_either(client):
    event = make_event(user_id="victim@example.com")
    keep([Refused(json.dumps(event).encode(), "too_late", "late", None, anonymous=True)], now=NOW, source="api")
    letter = DeadLetter.objects.get()
    log_in(client, "view", "replay")
    page = client.post(page_of(letter), {"replay": "1"}).content.decode()
    assert "Refused again: forbidden_user" in page
    for text in (page, client.get(page_of(letter)).content.decode(), client.get(reverse(LIST)).content.decode()):
        assert "victim" not in text


def test_an_untouched_text_is_no_edit(client):
    event = make_event(additional_info={"a": "zwei\nZeilen"})
    keep([Refused(json.dumps(event).encode(), "too_late", "late", None)], now=NOW, source="api")
    letter = DeadLetter.objects.get()
    log_in(client, superuser=True)
    text = client.get(page_of(letter)).context["payload"].replace("\n", "\r\n")
    client.post(page_of(letter), {"payload": text, "replay": "1"})
    letter.refresh_from_db()
    assert (letter.state, letter.note) == ("replayed", "")


def test_whoever_sees_no_people_may_replay_but_not_edit(client, letter):
    log_in(client, "view", "replay")
    edited = json.dumps(make_event())
    assert client.post(page_of(letter), {"payload": edited, "replay": "1"}).status_code == 403
    assert client.post(page_of(letter), {"replay": "1"}).status_code == 422
    assert not Event.objects.exists()


def test_discarding_needs_a_note_in_the_list_and_on_the_page(client, letter):
    log_in(client, superuser=True)
    keep([Refused(json.dumps(make_event()).encode(), "too_late", "late", None)], now=NOW, source="api")
    data = {"action": "discard_letters", "_selected_action": [letter.pk]}
    assert "write a note" in client.post(reverse(LIST), data, follow=True).content.decode()
    client.post(page_of(letter), {"discard": "1", "note": " "})
    assert DeadLetter.objects.filter(state="open").count() == 2
    client.post(reverse(LIST), {**data, "note": "old app"})
    client.post(page_of(DeadLetter.objects.get(code="too_late")), {"discard": "1", "note": "test data"})
    assert sorted(DeadLetter.objects.values_list("state", "note")) == [
        ("discarded", "old app"),
        ("discarded", "test data"),
    ]


def test_the_list_replays_what_is_chosen(client, letter):
    keep([Refused(json.dumps(make_event()).encode(), "too_late", "late", None)], now=NOW, source="api")
    log_in(client, superuser=True)
    chosen = list(DeadLetter.objects.values_list("pk", flat=True))
    answer = client.post(reverse(LIST), {"action": "replay_letters", "_selected_action": chosen}, follow=True)
    assert "1 stored, 1 refused again." in answer.content.decode()


def test_the_exports_mask_people_and_defuse_formulas(client, letter):
    keep([Refused(b"=1+1", "malformed", "=HYPERLINK(1)", None)], now=NOW, source="api")
    log_in(client, "view", "export")
    text = client.get(reverse("admin:events_deadletter_csv")).getvalue().decode()
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text[1:])))
    assert {row["detail"] for row in rows} == {"'=HYPERLINK(1)", "watch_duration: required"}
    lines = client.get(reverse("admin:events_deadletter_jsonl")).getvalue().decode().splitlines()
    assert {json.loads(line)["code"] for line in lines} == {"malformed", "missing_field"}
    assert "anna" not in text + "".join(lines)
    User.objects.filter(username="staff").update(is_superuser=True)
    assert "anna" in client.get(reverse("admin:events_deadletter_jsonl")).getvalue().decode()
