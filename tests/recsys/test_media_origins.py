"""Hosts that pages may show pictures and clips of: exact origins by the settings, the same on every page."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

CDN, OTHER = "https://cdn.example.com", "http://media.example.com:9000"


def directives(client, path):
    policy = client.get(path).headers["Content-Security-Policy"]
    return {name: words for name, *words in (each.split() for each in policy.split(";"))}


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/admin/login/", "/dashboards/moderation/", "/api/docs"])
def test_every_page_lets_in_the_same_media_and_nothing_else(client, settings, path):
    settings.MEDIA_ORIGINS = ()
    before = directives(client, path)
    assert not [word for words in before.values() for word in words if "://" in word]
    settings.MEDIA_ORIGINS = (CDN, OTHER)
    after = directives(client, path)
    for name in ("img-src", "media-src"):
        assert set(after.pop(name)) == {*before.pop(name), CDN, OTHER}
    assert after == before


@pytest.mark.parametrize(
    "told",
    ["https://*", "*", "cdn.example.com", f"{CDN}/a", f"{CDN};script-src *", "data:", f"{CDN}:0", f"{CDN}, https://"],
)
def test_what_is_no_origin_stops_the_start_and_is_named(told):
    answer = settings_with(told)
    assert answer.returncode != 0
    assert "MEDIA_ORIGINS has" in answer.stderr


def test_origins_are_read_in_small_letters_each_once():
    answer = settings_with(f"{CDN}, HTTPS://CDN.example.com ,{OTHER}")
    assert answer.stdout.strip() == repr((CDN, OTHER))


def settings_with(told):
    return subprocess.run(
        [sys.executable, "-c", "from recsys import settings; print(settings.MEDIA_ORIGINS)"], cwd=ROOT, text=True,
        capture_output=True, check=False, env={**os.environ, "MEDIA_ORIGINS": told},
    )  # fmt: skip
