import socket

import numpy as np
import pytest

from features.embeddings import sentence
from features.embeddings.language import LEAST_CONFIDENCE, LanguageRecogniser
from features.embeddings.sentence import SentenceEncoder


def test_captions_about_one_thing_are_nearer_though_they_share_no_word():
    one, same, other = SentenceEncoder().encode(
        ["my cat plays with a ball of wool", "a kitten chasing yarn", "downtown lights after dark"]
    )
    assert one @ same > max(one @ other, same @ other) + 0.15
    # Also in the part that is combined.
    short = [vector[: sentence.SHORT_DIMENSIONS] for vector in (one, same, other)]
    assert short[0] @ short[1] > max(short[0] @ short[2], short[1] @ short[2])


def test_any_text_has_a_unit_vector_or_none():
    vectors = SentenceEncoder().encode(["", "x", "word " * 100_000, "\x00\ud7ff 🎉", "日本語の文"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([0.0, 1.0, 1.0, 1.0, 1.0], abs=1e-5)


def test_nothing_asks_the_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert SentenceEncoder().encode(["offline"]).any()
    assert LanguageRecogniser().recognise("this works without a network")[0] == "en"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("This is how you bake bread at home", "en"), ("So backt man zu Hause ein Brot", "de"),
        ("Cómo hacer pan en casa paso a paso", "es"), ("おうちでパンを焼く方法", "ja"), ("Как испечь хлеб дома", "ru"),
    ],
)  # fmt: skip
def test_languages_are_recognised(text, language):
    found, confidence = LanguageRecogniser().recognise(f"{text} #fyp @someone https://example.com/x")
    assert (found, confidence > LEAST_CONFIDENCE) == (language, True)


@pytest.mark.parametrize("text", ["", "123 456", "#fyp @you https://example.com", "🎉🎉", "\n\n"])
def test_a_text_without_words_has_no_language(text):
    assert LanguageRecogniser().recognise(text) == ("", 0.0)
