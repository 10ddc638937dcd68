"""Where media may come from: below the folder, and from the public internet by a checked address."""

import http.server
import os
import socket
import threading
from pathlib import Path

import pytest

from features import media_sources
from features.media.reasons import MediaError
from features.media_sources import digest, is_public, opened


@pytest.fixture
def media(settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    (settings.MEDIA_ROOT / "deep").mkdir(parents=True)
    (settings.MEDIA_ROOT / "deep" / "a b.mp4").write_bytes(b"clip")
    (tmp_path / "secret").write_bytes(b"secret")
    return settings.MEDIA_ROOT


def reason(url: str, max_bytes: int = 1000) -> str:
    try:
        with opened(url, max_bytes=max_bytes) as file:
            return file.read().decode()
    except MediaError as error:
        return error.code


def test_a_file_below_the_folder_is_opened(media):
    assert reason("/media/deep/a%20b.mp4") == "clip"
    assert reason("/media/deep/a%20b.mp4?version=2") == "clip"
    assert reason("/media/deep/none.mp4") == "not_found"
    assert reason("") == "no_media"


@pytest.mark.parametrize(
    "path", ["../secret", "%2e%2e/secret", "deep/../../secret", "deep", "", "/etc/passwd", "a%00b", "deep//a%20b.mp4"]
)
def test_no_path_leads_out_of_the_folder(media, path):
    assert reason(f"/media/{path}") == "forbidden_path"


def test_no_link_is_followed_and_no_pipe_is_waited_for(media, tmp_path):
    (media / "link.mp4").symlink_to(tmp_path / "secret")
    (media / "folder").symlink_to(tmp_path)
    os.mkfifo(media / "pipe.mp4")
    assert {reason(f"/media/{path}") for path in ("link.mp4", "folder/secret", "pipe.mp4")} == {"forbidden_path"}


def test_a_file_that_changes_under_its_name_has_another_digest(media):
    before = digest("/media/deep/a%20b.mp4")
    assert digest("/media/deep/a%20b.mp4") == before
    (media / "deep" / "a b.mp4").write_bytes(b"another clip")
    assert digest("/media/deep/a%20b.mp4") != before
    assert digest("") == ""
    assert len(digest("https://cdn.example/a.mp4")) == 32


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1", "nonsense",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_are(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.1/a", "forbidden_address"),
        ("http://0x7f.1/a", "forbidden_address"),
        ("http://2130706433/a", "forbidden_address"),
        ("http://[::ffff:127.0.0.1]/a", "forbidden_address"),
        ("http://169.254.169.254/latest/meta-data", "forbidden_address"),
        ("http://localhost/a", "forbidden_address"),
        ("https://1.1.1.1:22/a", "forbidden_address"),
        ("file:///etc/passwd", "bad_address"),
        ("gopher://1.1.1.1/", "bad_address"),
        ("http://user:word@1.1.1.1/", "bad_address"),
        ("http://1.1.1.1/\r\nHost: x", "bad_address"),
        ("http:///a", "bad_address"),
        ("http://1.1.1.1:99999/", "bad_address"),
        ("//evil.example/a", "bad_address"),
    ],
)
def test_addresses_that_lead_elsewhere_are_refused(url, code):
    assert reason(url) == code


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path."""

    def do_GET(self):
        if self.path == "/clip":
            self._answer(200, b"clip")
        elif self.path.startswith("/hop"):
            left = int(self.path[4:])
            self._answer(302, b"", Location=f"/hop{left - 1}" if left > 1 else "/clip")
        elif self.path == "/inside":
            self._answer(302, b"", Location="http://169.254.169.254/")
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(bytes(1000))
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b".")
                self.wfile.flush()
                if self.server.over.wait(0.1):
                    return
        else:
            self._answer(int(self.path[1:]), b"")

    def _answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(settings):
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    made.over = threading.Event()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    settings.MEDIA_PRIVATE_HOSTS = frozenset({"127.0.0.1"})
    yield f"http://127.0.0.1:{made.server_port}"
    made.over.set()
    made.shutdown()
    thread.join()
    made.server_close()


def test_a_host_that_is_trusted_is_asked(server):
    assert reason(f"{server}/clip") == "clip"
    assert reason(f"{server}/hop3") == "clip"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("hop4", "too_many_redirects"), ("inside", "forbidden_address"), ("404", "fetch_refused"),
        ("503", "fetch_failed"), ("endless", "too_large"),
    ],
)  # fmt: skip
def test_answers_that_are_no_file_have_their_reason(server, path, code):
    assert reason(f"{server}/{path}") == code


def test_a_promise_of_too_much_is_not_waited_for(server):
    assert reason(f"{server}/clip", max_bytes=3) == "too_large"


def test_a_server_that_drips_is_cut_off(server, monkeypatch):
    monkeypatch.setattr(media_sources, "FETCH_S", 0.5)
    assert reason(f"{server}/slow") == "fetch_failed"


def test_a_name_with_one_private_answer_is_refused_and_the_checked_address_is_used(server, settings, monkeypatch):
    settings.MEDIA_PRIVATE_HOSTS = frozenset()
    answers = [["1.1.1.1", "127.0.0.1"]]

    def resolve(host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers[0]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert reason("http://rebinding.example/clip") == "forbidden_address"
    connected = []

    def connect(address, **_):
        connected.append(address)
        raise OSError("no network in tests")

    answers[0] = ["1.1.1.1"]
    monkeypatch.setattr(socket, "create_connection", connect)
    assert reason("http://rebinding.example/clip") == "fetch_failed"
    assert connected == [("1.1.1.1", 80)]
