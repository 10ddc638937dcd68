"""Rules, dry runs and lists in the admin, for leads; moderators see verdicts."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from dashboards import screening, screening_rules
from dashboards.screening_models import HashList, Screening, ScreeningRule
from tests.dashboards.cases import NOW
from tests.dashboards.test_screening import upload

pytestmark = pytest.mark.django_db
RULES = "/admin/dashboards/screeningrule/"
LISTS = "/admin/dashboards/hashlist/"
FORM = {"title": "Any link", "action": "flag", "policy": "spam", "enabled": "on", "note": "a wave of spam"}


@pytest.fixture(autouse=True)
def rules(db):
    """The built-in rules, whatever ran before."""
    screening_rules.ensure_rules(now=NOW)


def conditions(bound):
    return json.dumps([{"signal": "text_links", "at_least": bound}])


def test_saving_a_rule_writes_its_next_version_and_the_list_shows_that(staff):
    lead = staff("moderation lead")
    rule = ScreeningRule.objects.get(key="spam-links")
    answer = lead.post(f"{RULES}{rule.pk}/change/", {**FORM, "conditions": conditions(1)})
    assert answer.status_code == 302
    newest = ScreeningRule.objects.filter(key="spam-links").order_by("-version")[0]
    assert (newest.version, newest.made_by, newest.title) == (2, lead.user.pk, "Any link")
    rule.refresh_from_db()
    assert (rule.version, rule.title) == (1, "Many web addresses")
    page = lead.get(RULES).content.decode()
    assert "Any link" in page
    assert "Many web addresses" not in page
    assert lead.get(f"{RULES}{rule.pk}/delete/").status_code == 403


def test_a_new_rule_is_in_force_at_once_and_a_wrong_one_is_refused_by_name(staff):
    lead = staff("moderation lead")
    wrong = lead.post(
        f"{RULES}add/", {**FORM, "key": "links", "conditions": '[{"signal": "os.system", "at_least": 1}]'}
    )
    assert wrong.status_code == 200
    assert "os.system" in wrong.content.decode()
    assert lead.post(f"{RULES}add/", {**FORM, "key": "links", "conditions": conditions(1)}).status_code == 302
    upload(caption="look at example.com")
    screening.screen_due(now=NOW)
    assert Screening.objects.get().matched == [["links", 1]]


def test_the_dry_run_page_counts_shows_and_changes_nothing(staff):
    upload(caption="look at <b>example.com</b>", at=timezone.now())
    screening.screen_due(now=timezone.now())
    lead, before = staff("moderation lead"), Screening.objects.count()
    page = lead.get(f"{RULES}dry-run/", {"conditions": conditions(1)}).content.decode()
    assert "<dt>Caught</dt><dd>1</dd>" in page
    assert "text_links 1.0" in page
    assert "<dt>Caught</dt><dd>0</dd>" in lead.get(f"{RULES}dry-run/", {"conditions": conditions(9)}).content.decode()
    assert (
        "must be one of"
        in lead.get(f"{RULES}dry-run/", {"conditions": '[{"signal":"x","at_least":1}]'}).content.decode()
    )
    assert lead.get(f"{RULES}dry-run/?rule=999999").status_code == 200
    assert lead.get(f"{RULES}dry-run/?rule=x").status_code == 200
    assert Screening.objects.count() == before
    assert staff("moderator").get(f"{RULES}dry-run/").status_code == 403


def test_a_list_is_kept_by_hand_and_its_version_rises(staff):
    lead = staff("moderation lead")
    entry = {
        "entries-TOTAL_FORMS": "1", "entries-INITIAL_FORMS": "0", "entries-0-label": "one",
        "entries-0-sha256": "c" * 64, "entries-0-hashes": "1,2,3",
    }  # fmt: skip
    assert lead.post(f"{LISTS}add/", {"name": "ours", "policy": "spam", "origin": "us", **entry}).status_code == 302
    listed = HashList.objects.get()
    assert listed.version >= 1
    assert listed.entries.get().hashes == [1, 2, 3]
    entry["entries-0-sha256"] = "zz"
    wrong = lead.post(f"{LISTS}add/", {"name": "b", "policy": "spam", **entry})
    assert "64 hexadecimal digits" in wrong.content.decode()


def test_the_command_takes_in_a_file_and_names_what_is_wrong(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"one,{'d' * 64},\n")
    call_command("import_hashes", "known", str(path), "--policy", "spam")
    assert HashList.objects.get().entries.count() == 1
    path.write_text("one,short,\n")
    with pytest.raises(CommandError, match="line 1"):
        call_command("import_hashes", "known", str(path), "--policy", "spam")
    with pytest.raises(CommandError):
        call_command("import_hashes", "known", str(tmp_path / "nothing.csv"), "--policy", "spam")


def test_moderators_see_verdicts_and_no_rules(staff):
    upload()
    screening.screen_due(now=NOW)
    moderator = staff("moderator")
    assert "c1" in moderator.get("/admin/dashboards/screening/").content.decode()
    assert moderator.get(RULES).status_code == 403
    assert moderator.get(LISTS).status_code == 403
