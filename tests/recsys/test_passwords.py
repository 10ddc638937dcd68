"""Passwords of staff: Argon2id for new ones; older hashes still let their owner in and are made anew by it."""

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.test import Client

from recsys import settings as product
from recsys.passwords import MEMORY_KIB

pytestmark = pytest.mark.django_db
PHRASE = "a long demo password"


@pytest.fixture(autouse=True)
def _hashers_of_the_product(settings):
    """Not the quick one of the other tests."""
    settings.PASSWORD_HASHERS = product.PASSWORD_HASHERS


def test_a_new_password_is_kept_as_argon2id_with_bounded_memory():
    user = User.objects.create_user("ann", password=PHRASE)
    assert user.password.startswith(f"argon2$argon2id$v=19$m={MEMORY_KIB},t=2,p=1$")
    assert user.check_password(PHRASE)
    assert not user.check_password(PHRASE + " ")


def test_an_older_hash_lets_its_owner_in_and_is_made_anew_by_that():
    user = User.objects.create(username="bob", is_staff=True, password=make_password(PHRASE, hasher="pbkdf2_sha256"))
    client = Client()
    assert client.post("/admin/login/", {"username": "bob", "password": "wrong " + PHRASE}).status_code == 200
    user.refresh_from_db()
    assert user.password.startswith("pbkdf2_sha256$")
    assert client.post("/admin/login/", {"username": "bob", "password": PHRASE}).status_code == 302
    user.refresh_from_db()
    assert user.password.startswith("argon2$argon2id$")
    assert user.check_password(PHRASE)
