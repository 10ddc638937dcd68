"""What is known to be wrong before anything starts."""

import socket
from pathlib import Path

import pytest
from django.conf import settings

from recsys.embedded import preflight
from recsys.embedded.preflight import PreflightError, WebAddress


def test_the_web_address_comes_from_the_environment():
    assert preflight.check_web_address({"WEB_HOST": "127.0.0.2", "WEB_PORT": "18017"}) == WebAddress("127.0.0.2", 18017)


def test_a_web_port_in_use_is_named_with_a_way_out():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PreflightError, match=rf"Cannot listen on 127\.0\.0\.1:{port}, .*WEB_PORT="):
            preflight.check_web_address({"WEB_PORT": str(port)})


@pytest.mark.parametrize("value", ["eighty", "0", "-1", "65536", "8000.5", "٨٠٨٠"])
def test_a_port_that_is_none_is_named(value: str):
    with pytest.raises(PreflightError, match="WEB_PORT must be a whole number from 1 to 65535, not "):
        preflight.check_web_address({"WEB_PORT": value})


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("app.example", "http://app.example:8000"),
    ],
)
def test_the_url_is_one_that_a_browser_here_can_open(host: str, url: str):
    assert WebAddress(host, 8000).url == url


def test_a_disk_without_room_is_named(tmp_path: Path):
    preflight.check_folder(tmp_path)
    with pytest.raises(PreflightError, match=r"^Only \d+ MB are free on the disk of .*, and at least 1000000000 MB"):
        preflight.check_folder(tmp_path, min_free_bytes=10**15)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PreflightError, match=r"file/var cannot be written to by user id \d+: Not a directory\."):
        preflight.check_folder(tmp_path / "file" / "var")


@pytest.mark.django_db
def test_the_database_tells_its_version():
    assert int(preflight.check_database().split(".")[0]) >= preflight.OLDEST_POSTGRES


@pytest.mark.django_db
def test_a_database_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(preflight, "OLDEST_POSTGRES", 99)
    with pytest.raises(PreflightError, match=r"^DATABASE_URL leads to PostgreSQL \d+.*, and at least 99 is needed\.$"):
        preflight.check_database()


def test_the_broker_of_the_settings_answers():
    preflight.check_broker(settings.CELERY_BROKER_URL)


@pytest.mark.parametrize("url", ["redis://:guess@127.0.0.1:1/0", "nonsense://here", "redis://127.0.0.1:many/0"])
def test_a_broker_that_cannot_be_used_is_one_sentence(url: str):
    with pytest.raises(PreflightError, match=r"^The broker of CELERY_BROKER_URL cannot be used: .*\.$"):
        preflight.check_broker(url)
