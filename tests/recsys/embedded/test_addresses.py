"""Ports and secrets of one installation."""

import json
import socket
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from recsys.embedded import addresses
from recsys.embedded.addresses import AddressesError


def test_addresses_are_made_once_and_only_their_owner_reads_them(tmp_path: Path):
    first = addresses.load(tmp_path / "var")
    file = tmp_path / "var" / addresses.FILE_NAME
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert addresses.load(tmp_path / "var") == first
    assert [path.name for path in file.parent.iterdir()] == [addresses.FILE_NAME]


def test_two_installations_share_no_secret(tmp_path: Path):
    one, other = addresses.load(tmp_path / "a"), addresses.load(tmp_path / "b")
    for name in ("postgres_password", "valkey_password", "secret_key", "demo_password"):
        assert getattr(one, name) != getattr(other, name)
        assert len(getattr(one, name)) >= 16


def test_starters_at_the_same_moment_agree(tmp_path: Path):
    for attempt in range(20):
        ready = Barrier(8)

        def start(_: int, folder: Path = tmp_path / str(attempt), ready: Barrier = ready) -> addresses.Addresses:
            ready.wait()
            return addresses.load(folder)

        with ThreadPoolExecutor(8) as pool:
            assert len(set(pool.map(start, range(8)))) == 1


def test_a_file_that_became_readable_for_others_is_closed_again(tmp_path: Path):
    addresses.load(tmp_path)
    file = tmp_path / addresses.FILE_NAME
    file.chmod(0o644)
    addresses.load(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_moving_a_port_keeps_everything_else(tmp_path: Path):
    old = addresses.load(tmp_path)
    moved = addresses.move(tmp_path, valkey_port=4321)
    assert moved == addresses.load(tmp_path)
    assert moved.valkey_port == 4321
    assert moved.database_url == old.database_url
    assert moved.broker_url == f"redis://:{old.valkey_password}@127.0.0.1:4321/0"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("", "Cannot read"), ("[]", "no JSON object"), ('{"postgres_port": "1"}', "lacks postgres_port")],
)
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, content: str, complaint: str):
    file = tmp_path / addresses.FILE_NAME
    file.write_text(content)
    with pytest.raises(AddressesError, match=complaint) as caught:
        addresses.load(tmp_path)
    assert str(file) in str(caught.value)
    assert file.read_text() == content


def test_one_missing_secret_is_named(tmp_path: Path):
    addresses.load(tmp_path)
    file = tmp_path / addresses.FILE_NAME
    fields = json.loads(file.read_text())
    del fields["secret_key"]
    file.write_text(json.dumps(fields))
    with pytest.raises(AddressesError, match="lacks secret_key"):
        addresses.load(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(AddressesError, match=r"Cannot write .*embedded\.json: "):
        addresses.load(tmp_path / "file" / "var")


def test_a_port_in_use_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not addresses.port_is_free(port)
    assert addresses.port_is_free(port)


def test_a_free_port_stays_out_of_what_the_system_lends_to_clients():
    ports = {addresses.free_port() for _ in range(50)}
    assert len(ports) > 40
    assert all(20_000 <= port <= 32_000 for port in ports)
