"""A crowd behind one network is no crowd: its reports of a subject weigh together what one person weighs."""

from datetime import timedelta

import pytest
from django.conf import settings

from dashboards import moderation_erasure, moderation_reports
from dashboards.moderation_models import Report
from dashboards.report_networks import network_of
from tests.dashboards.cases import NOW, case_of, clip, known_since

pytestmark = pytest.mark.django_db
BODY = {"content_id": "c1", "reason": "hate"}


def crowd(address_of, size=20, content="c1"):
    clip(content)
    for number in range(size):
        subject = moderation_reports.subject_of("content", content)
        known_since(f"r{number}", 100)
        moderation_reports.report(
            subject, reporter_id=f"r{number}", reason="hate", now=NOW, network=network_of(address_of(number))
        )
    return case_of(content)


def test_twenty_reports_from_one_network_hide_nothing_and_as_many_from_everywhere_do():
    one = crowd(lambda number: f"203.0.114.{number}")
    assert (one.reports, one.report_weight, one.shown_status) == (20, 1.0, "active")
    all_over = crowd(lambda number: f"{number + 11}.1.2.3", content="c2")
    assert (all_over.shown_status, all_over.report_weight) == ("hidden", 10.0)
    unknown = crowd(lambda number: "", content="c3")
    assert unknown.shown_status == "hidden"


def test_a_network_is_cut_hashed_with_the_key_and_says_nothing_for_private_addresses(settings):
    assert network_of("8.8.8.1") == network_of("8.8.8.254") == network_of("::ffff:8.8.8.9") != network_of("8.8.9.1")
    assert network_of("2001:4860:1::1") == network_of("2001:4860:1:ffff::") != network_of("2001:4860:2::1")
    assert {network_of(each) for each in ("10.0.0.1", "127.0.0.1", "192.168.7.7", "fe80::1", "", "no")} == {""}
    before = network_of("8.8.8.8")
    settings.SECRET_KEY = "another key, of more than fifty characters, for this one test"
    assert network_of("8.8.8.8") != before
    assert "8.8.8" not in before


def test_over_http_a_user_counts_by_their_own_address_and_a_key_by_what_it_tells(as_user, server):
    clip()
    as_user("mia").post("/api/v1/reports", BODY, format="json", REMOTE_ADDR="8.8.8.8")
    server.post("/api/v1/reports", {**BODY, "reporter_id": "bo", "reporter_address": "8.8.8.9"}, format="json")
    server.post("/api/v1/reports", {**BODY, "reporter_id": "cy"}, format="json", REMOTE_ADDR="8.8.8.10")
    assert dict(Report.objects.values_list("reporter_id", "network")) == {
        "mia": network_of("8.8.8.1"), "bo": network_of("8.8.8.1"), "cy": "",
    }  # fmt: skip
    for client, address in ((as_user("dan"), "8.8.8.8"), (server, "not an address"), (server, 7)):
        body = {**BODY, "reporter_address": address}
        answer = client.post(
            "/api/v1/reports", body | ({"reporter_id": "dan"} if client is server else {}), format="json"
        )
        assert answer.status_code == 400, address


def test_networks_are_forgotten_after_thirty_days():
    crowd(lambda number: f"{number + 11}.1.2.3", size=2)
    Report.objects.filter(reporter_id="r0").update(reported_at=NOW - timedelta(days=31))
    assert settings.REPORT_DAYS > 31
    moderation_erasure.drop_expired(now=NOW)
    assert [bool(each) for each in Report.objects.order_by("reporter_id").values_list("network", flat=True)] == [0, 1]
