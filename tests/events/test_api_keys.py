"""Server keys: the secret is shown once, ends when revoked, and the demo's is kept for its owner only."""

import re
import stat
from datetime import timedelta

import pytest
from django.utils import timezone

from events import api_keys, authentication
from events.models import ApiKey

pytestmark = pytest.mark.django_db
PATH = "/api/v1/users/unknown"


def test_only_a_digest_of_the_secret_is_stored():
    key_id, secret = api_keys.create_key("shop")
    assert re.fullmatch(r"sk_[A-Za-z0-9_-]{49}", secret)
    row = ApiKey.objects.get(pk=key_id)
    assert secret not in str(ApiKey.objects.values().get())
    assert secret.startswith(row.prefix)


def test_a_revoked_key_is_refused_at_the_latest_when_memory_fades(server, monkeypatch):
    assert server.get(PATH).status_code == 404
    assert api_keys.revoke(ApiKey.objects.get().pk, now=timezone.now()) is True
    assert api_keys.revoke(ApiKey.objects.get().pk, now=timezone.now()) is False
    monkeypatch.setattr(authentication, "CACHE_S", 0.0)
    response = server.get(PATH)
    assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_key")


def test_an_expired_key_is_refused_at_once(server):
    assert server.get(PATH).status_code == 404
    authentication.forget_keys()
    ApiKey.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert server.get(PATH).status_code == 401


def test_a_key_is_looked_up_once_for_many_requests(server, django_assert_num_queries):
    with django_assert_num_queries(4):  # the key, the note of its use, and twice the user
        server.get(PATH)
        server.get(PATH)


def test_the_demo_key_stays_the_same_and_private(tmp_path):
    var = tmp_path / "var"
    secret = api_keys.ensure_demo_key(var)
    assert api_keys.ensure_demo_key(var) == secret
    assert ApiKey.objects.count() == 1
    assert stat.S_IMODE((var / api_keys.DEMO_KEY_FILE).stat().st_mode) == 0o600


def test_a_fresh_database_gets_the_demo_key_of_the_file(tmp_path):
    secret = api_keys.ensure_demo_key(tmp_path)
    ApiKey.objects.all().delete()
    assert api_keys.ensure_demo_key(tmp_path) == secret
    assert authentication.credential_of(secret).is_server


def test_a_revoked_demo_key_is_replaced(tmp_path):
    secret = api_keys.ensure_demo_key(tmp_path)
    api_keys.revoke(ApiKey.objects.get().pk, now=timezone.now())
    assert api_keys.ensure_demo_key(tmp_path) != secret
