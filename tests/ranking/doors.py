"""What the tests of the doors beside the feed share: paths, clients, how a refusal looks."""

from rest_framework.test import APIClient

from tests.ranking.feeds import CLIPS_EACH, FAMILIES

PAGE = "https://app.example.com"
DEVICE = "anon:7d1f0c2e-9a55-4b7e"
SIMILAR = "/api/v1/contents/ocean-03/similar"
STATS = "/api/v1/contents/ocean-03/stats"
CREATORS = "/api/v1/users/mia/suggested-creators"
RANK = "/api/v1/rank"
TRENDING = "/api/v1/trending"
CATEGORIES = "/api/v1/categories"
CLIPS = [f"{family}-{clip:02d}" for family in FAMILIES for clip in range(CLIPS_EACH)]


def client_of(secret, **headers):
    return APIClient(headers={"Authorization": f"Bearer {secret}", **headers})


def refusal(answer):
    assert answer["Content-Type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"code", "message", "details"}
    return answer.status_code, error["code"]


def ids_of(answer, name="content_id"):
    assert answer.status_code == 200, answer.content
    return [item[name] for item in answer.json()["items"]]


def fans(viewer, family="ocean", count=5):
    for clip in range(count):
        viewer.watch(f"{family}-{clip:02d}")
