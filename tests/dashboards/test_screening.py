"""Uploads are flagged, held, quarantined or passed; what the check cannot look at is not passed."""

import numpy as np
import pytest
from django.db import DatabaseError, transaction

from dashboards import hash_lists, moderation, moderation_appeals, screening, screening_intake, screening_rules
from dashboards.casework.rules import parse
from dashboards.moderation_models import ModerationAction, ModerationCase
from dashboards.screening_models import HashList, Screening, ScreeningRule, UploadSigns
from events import queries
from events.catalogue import NewContent, change_content, register_content
from events.errors import InvalidRequest
from features.content_records import Looked
from features.media.findings import Findings
from features.screening.abuse import ModelMissing
from tests.dashboards.cases import ANN, LEAD, NOW, case_of, clip, decide

pytestmark = pytest.mark.django_db
RNG = np.random.default_rng(3)
FRAMES = [int(each) for each in RNG.integers(-(2**62), 2**62, 8)]


def upload(
    content_id="c1", creator="creator", caption="a quiet evening at the harbour", at=NOW, *, media=None, **facts
):
    """An upload as the analysis tells of it; `media` are findings, a reason why there are none, or None."""
    # Tests with transactions of their own empty the table that the migrations filled.
    screening_rules.ensure_rules(now=NOW)
    url = f"/media/{content_id}.mp4" if media else ""
    register_content(NewContent(content_id, creator, at, {"caption": caption}, media_url=url, **facts))
    tell(content_id, caption, media)
    return content_id


def tell(content_id, caption, media=None, sha256=""):
    seen = isinstance(media, Findings)
    code = "" if seen or media in {None, "waiting"} else media
    looked = Looked(
        content_id, f"text {caption}"[:32], f"media {content_id}"[:32] if media else "", media if seen else None, code,
        (sha256 or content_id.encode().hex().rjust(64, "0")) if seen else "",
    )  # fmt: skip
    screening_intake.note([looked])


def seen(indecency=0.01, hashes=FRAMES, **facts):
    scores = [] if indecency is None else [indecency] * len(hashes)
    return Findings(
        "video/mp4", frames=len(hashes), hashes=list(hashes), crop_hashes=list(hashes), indecency=scores,
        indecency_version="test 1", **facts,
    )  # fmt: skip


def screened(content_id="c1"):
    screening.screen_due(now=NOW)
    return Screening.objects.filter(content_id=content_id).order_by("-id")[0]


def shown(content_id="c1"):
    return content_id in queries.eligible([content_id])


def test_an_innocent_upload_passes_with_its_numbers_and_the_versions_of_what_made_them():
    upload(media=seen())
    found = screened()
    assert (found.verdict, found.matched, found.decision_id) == ("pass", [], None)
    assert found.signals["indecency"] == 0.01
    assert found.signals["unknown"] == 0
    assert found.versions["indecency"] == "test 1"
    assert found.versions["text_abuse"].startswith("alt-profanity-check")
    assert shown()
    assert not ModerationCase.objects.exists()


def test_abuse_is_quarantined_with_a_case_and_a_statement_of_reasons():
    upload(caption="you stupid fucking bitch, kill yourself")
    found = screened()
    assert (found.verdict, found.policy) == ("quarantine", "harassment")
    assert not shown()
    case = case_of()
    assert (case.status, case.held, case.shown_status) == ("open", True, "hidden")
    assert case.flags["harassment"] > 0.97
    assert case.priority_parts["model"] > 0
    entry = ModerationAction.objects.get(kind="quarantine")
    assert (entry.actor_id, entry.decision_id) == (None, found.decision_id)


def test_a_doubtful_upload_is_flagged_and_stays():
    upload(caption="cheap followers at a.shop b.shop and c.shop")
    assert screened().verdict == "flag"
    assert shown()
    assert (case_of().status, case_of().held) == ("open", False)


def test_media_that_nobody_could_look_at_are_held_until_somebody_can():
    upload(media="fetch_failed")
    assert screened().verdict == "hold"
    assert not shown()
    tell("c1", "a quiet evening at the harbour", seen())
    assert screened().verdict == "pass"
    assert shown()
    assert case_of().status == "closed"


def test_frames_without_a_score_are_unknown_and_sound_alone_is_not():
    upload(media=seen(indecency=None))
    assert screened().verdict == "hold"
    upload("sound", media=seen(hashes=[], visual_code="no_visual"))
    assert screened("sound").verdict == "pass"
    upload("broken", media=seen(hashes=[], visual_code="corrupt"))
    assert screened("broken").verdict == "hold"


def test_a_content_without_media_passes_by_its_words_and_is_held_where_those_cannot_be_judged(monkeypatch):
    upload()
    assert screened().verdict == "pass"
    upload("wordless", caption="")

    def missing():
        raise ModelMissing("gone")

    monkeypatch.setattr("features.screening.text.abuse_model", missing)
    upload("worded", caption="some words that nobody can judge")
    assert screened("worded").verdict == "hold"
    assert screened("wordless").verdict == "pass"


def test_media_that_wait_their_turn_are_judged_by_their_words_first(settings):
    upload(media="waiting")
    assert screened().verdict == "pass"
    assert UploadSigns.objects.get(pk="c1").media == "waiting"
    settings.ANALYSE_MEDIA = False
    upload("c2", media="waiting")
    assert screened("c2").verdict == "pass"
    assert UploadSigns.objects.get(pk="c2").media == "off"


def test_uploads_that_wait_are_in_no_feed_before_the_check_let_them_in(settings):
    settings.UPLOADS_WAIT = True
    upload(media="waiting")
    screening.screen_due(now=NOW)
    assert not shown()
    tell("c1", "a quiet evening at the harbour", seen())
    screening.screen_due(now=NOW)
    assert shown()
    register_content(NewContent("c1", "creator", NOW, {"caption": "a nightly sync"}))
    assert shown()


def test_what_a_moderator_let_through_is_not_stopped_again_for_the_same_words():
    upload(caption="you stupid fucking bitch, kill yourself")
    screened()
    decide(case_of(), "approve")
    assert shown()
    tell("c1", "you stupid fucking bitch, kill yourself")
    assert screened().verdict == "quarantine"
    assert shown()
    change_content("c1", {"metadata": {"caption": "you fucking cunt, go and die"}})
    tell("c1", "you fucking cunt, go and die")
    screened()
    assert not shown()


def test_a_flood_of_one_text_is_caught_and_an_old_catalogue_is_none():
    for number in range(8):
        upload(
            f"f{number}", caption=f"win {number} coins now at http://x{number}.example today friends", creator="flood"
        )
    screening.screen_due(now=NOW)
    caught = Screening.objects.filter(verdict="quarantine", content_id__startswith="f")
    assert caught.count() >= 4
    old = NOW.replace(year=2020)
    for number in range(8):
        upload(f"o{number}", at=old.replace(month=number + 1), caption="the same caption as every other month here")
    screening.screen_due(now=NOW)
    assert not Screening.objects.filter(content_id__startswith="o").exclude(verdict="pass").exists()


def test_many_uploads_in_an_hour_are_flagged_and_then_stopped():
    for number in range(61):
        upload(f"v{number:02}", caption="", creator="fast")
    screening.screen_due(now=NOW)
    assert set(Screening.objects.values_list("verdict", flat=True)) == {"quarantine"}


def test_a_removed_clip_is_recognised_when_somebody_uploads_it_again():
    upload("first", media=seen())
    screening.screen_due(now=NOW)
    moderation.decide_unasked(
        screening.Subject("content", "first", "creator"), moderation.Decision(("remove",), policy="hate"), ANN, now=NOW
    )
    near = [each ^ 0b1011 for each in FRAMES]  # three bits of each are others
    upload("again", creator="somebody else", media=seen(hashes=near))
    found = screened("again")
    assert (found.verdict, found.policy, found.resembles) == ("quarantine", "hate", "first")
    assert (found.signals["removed_exact"], found.signals["removed_same"]) == (0.0, 1.0)
    cropped = [each ^ 0b1111_0111 for each in FRAMES]
    upload("cropped", creator="a third", media=seen(hashes=cropped))
    assert screened("cropped").verdict == "hold"
    assert not shown("cropped")
    # The removed one itself is judged anew without resembling itself.
    tell("first", "a quiet evening at the harbour", seen())
    assert screened("first").signals["removed_near"] == 0.0
    # Taken back, it bans nothing any more.
    moderation.undo(ModerationAction.objects.get(kind="remove").decision_id, LEAD, now=NOW)
    upload("third", media=seen(hashes=near))
    assert screened("third").verdict == "pass"


def test_listed_files_and_frames_are_quarantined_for_what_the_list_is_about():
    lines = [
        "# label,sha256,hashes",
        f"exact,{'b' * 64},",
        f"frames,,{' '.join(f'{each & (2**64 - 1):016x}' for each in FRAMES)}",
    ]
    done = hash_lists.import_list("known", lines, policy="child_safety", origin="a hotline", now=NOW)
    assert (done.entries, done.new, done.version) == (2, 2, 1)
    other = [int(each) for each in RNG.integers(-(2**62), 2**62, 8)]
    upload("exact", media="waiting")
    tell("exact", "words", seen(hashes=other), sha256="b" * 64)
    found = screened("exact")
    assert (found.verdict, found.policy, found.resembles) == ("quarantine", "child_safety", "known: exact")
    upload("near", media=seen())
    found = screened("near")
    assert (found.policy, found.signals["hash_near"], found.signals["hash_severity"]) == ("child_safety", 1.0, 4.0)
    assert case_of("near").priority >= 70
    again = hash_lists.import_list("known", lines, policy="child_safety", origin="a hotline", now=NOW)
    assert (again.new, again.version) == (0, 2)


@pytest.mark.parametrize("line", ["x,abc,", "x,,zz", ",,ff", "x,,", "x,,11112222333344445", "a,b,c,d"])
def test_a_wrong_line_of_a_list_is_named_and_nothing_of_the_file_is_taken(line):
    with pytest.raises(InvalidRequest, match="line 2"):
        hash_lists.import_list("known", ["ok,,ff00ff00ff00ff00", line], policy="spam", origin="", now=NOW)
    assert not HashList.objects.exists()


def test_a_check_that_fails_holds_the_upload_and_judges_the_others(monkeypatch):
    upload("bad")
    upload("good")
    real = screening.examine

    def failing(signs, *args, **kwargs):
        if signs.content_id == "bad":
            raise RuntimeError("no")
        return real(signs, *args, **kwargs)

    monkeypatch.setattr(screening, "examine", failing)
    assert screening.screen_due(now=NOW).verdicts == {"pass": 1}
    assert not shown("bad")
    assert shown("good")
    monkeypatch.undo()
    assert screening.screen_due(now=NOW).verdicts == {"pass": 1}
    assert shown("bad")


def test_a_changed_rule_is_a_new_version_and_the_database_keeps_the_old_one():
    rule = ScreeningRule.objects.get(key="spam-links", version=1)
    written = screening_rules.write_rule(
        "spam-links", title="any", conditions=[{"signal": "text_links", "at_least": 1}], action="quarantine",
        policy="spam", enabled=True, note="", by=1, now=NOW,
    )  # fmt: skip
    assert written.version == 2
    upload(caption="look at example.com")
    assert screened().matched == [["spam-links", 2]]
    for change in (lambda: ScreeningRule.objects.filter(pk=rule.pk).update(enabled=False), rule.delete):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    screening_rules.write_rule(
        "spam-links", title="off", conditions=rule.conditions, action="flag", policy="spam", enabled=False, note="",
        by=1, now=NOW,
    )  # fmt: skip
    assert "spam-links" not in {each.key for each in screening_rules.rules_in_force()}


def test_a_dry_run_tells_what_a_rule_would_have_caught_and_changes_nothing():
    upload("one", caption="look at example.com")
    upload("two", caption="look at example.com and example.org and example.net")
    upload("three")
    screening.screen_due(now=NOW)
    decide(case_of("two"), "remove")
    before = Screening.objects.count(), ModerationAction.objects.count()
    tried = screening_rules.dry_run(parse([{"signal": "text_links", "at_least": 1}]), now=NOW)
    assert (tried.uploads, tried.caught, tried.new, tried.agreed, tried.disagreed) == (3, 2, 1, 1, 0)
    assert {each[0] for each in tried.samples} == {"one", "two"}
    assert (
        screening_rules.dry_run(parse([{"signal": "text_links", "at_least": 1}]), now=NOW.replace(year=2027)).uploads
        == 0
    )
    assert (Screening.objects.count(), ModerationAction.objects.count()) == before


def test_built_in_rules_come_with_the_migrations_and_are_filled_up_again():
    assert screening_rules.ensure_rules(now=NOW) == 0
    assert {each.key for each in screening_rules.rules_in_force()} >= {"unknown", "indecent", "removed-clip"}
    assert "first-uploads" not in {each.key for each in screening_rules.rules_in_force()}


def test_a_content_that_is_gone_is_forgotten():
    clip("c9")
    UploadSigns.objects.create(
        content_id="nobody", creator_id="x", uploaded_at=NOW, text_digest="", media_digest="", text_key=0,
        media="none", changed_at=NOW, due=True,
    )  # fmt: skip
    screening.screen_due(now=NOW)
    assert not UploadSigns.objects.filter(pk="nobody").exists()


def test_media_that_were_seen_stay_known_while_their_server_is_away(django_assert_max_num_queries):
    upload(media=seen())
    assert screened().verdict == "pass"
    tell("c1", "a quiet evening at the harbour", "fetch_failed")
    assert screened().verdict == "pass"
    assert shown()
    with django_assert_max_num_queries(1):
        screening.screen_due(now=NOW)


def test_the_author_is_told_why_and_can_object():
    upload(caption="you stupid fucking bitch, kill yourself")
    upload("c2", media="corrupt")
    screening.screen_due(now=NOW)
    told = {each.subject_id: each for each in moderation_appeals.decisions_of("creator")}
    hidden, held = (told[each].statements[0] for each in ("c1", "c2"))
    assert "hidden by an automatic check" in hidden["explanation"]
    assert hidden["decision_ground"] == "DECISION_GROUND_INCOMPATIBLE_CONTENT"
    assert held["explanation"].endswith("The automatic check could not look at all of it.")
    for each in (hidden, held):
        assert (each["automated_detection"], each["automated_decision"]) == (True, "AUTOMATED_DECISION_FULLY")
        assert each["source_type"] == "SOURCE_VOLUNTARY"
    decision_id = told["c1"].decision_id
    moderation_appeals.appeal(decision_id, author_id="creator", text="it is a quotation", now=NOW)
    moderation_appeals.answer(decision_id, ANN, upheld=False, now=NOW)
    assert shown("c1")
    assert case_of("c1").status == "closed"
