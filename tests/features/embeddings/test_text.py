import numpy as np
import pytest
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from features.embeddings.text import TextEncoder, text_hash

WORDS = ["ocean waves tide surf", "neon city night glow", "cells rule grow pixel", "spiral zoom endless fractal"]


def captions(n, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS[at % 4].split(), 3)) + f" clip{at % 7}" for at in range(n)]


def test_captions_of_one_topic_lie_closer_than_captions_of_two():
    vectors = TextEncoder().fit(captions(80)).transform([*WORDS, "surf and waves", "city of neon"])
    similar, different = vectors[4] @ vectors[0], vectors[4] @ vectors[1]
    assert similar > 0.5 > different
    assert vectors[5] @ vectors[1] > 0.5


def test_vectors_have_unit_length_and_texts_without_a_known_word_are_zero():
    vectors = TextEncoder().fit(captions(40)).transform(["neon night", "", "... !", "zzz unheard"])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0, 0.0, 0.0, 0.0])
    assert vectors.dtype == np.float32


def test_the_result_is_that_of_scikit_learn():
    texts = sorted(set(captions(60)))
    encoder = TextEncoder(max_words=12, max_dimensions=5).fit(texts)
    tfidf = TfidfVectorizer(max_features=12).fit(texts)
    reduced = TruncatedSVD(5, random_state=0).fit(tfidf.transform(texts)).transform(tfidf.transform(texts))
    length = np.linalg.norm(reduced, axis=1, keepdims=True)
    assert (length > 0).sum() > 20
    expected = reduced / np.where(length > 0, length, 1.0)
    assert encoder.transform(texts) == pytest.approx(expected, abs=1e-6)


def test_saving_and_loading_changes_not_a_bit(tmp_path):
    encoder, texts = TextEncoder(max_dimensions=6).fit(captions(60)), captions(30, seed=4)
    encoder.save(tmp_path)
    loaded = TextEncoder.load(tmp_path)
    assert np.array_equal(loaded.transform(texts), encoder.transform(texts))
    assert loaded.version_ == encoder.version_


def test_fitting_again_forgets_and_fitting_the_same_is_the_same_version():
    encoder = TextEncoder().fit(captions(60))
    first = encoder.version_
    assert "surf" in encoder.words_
    assert encoder.fit(["bread butter", "butter knife"]).words_ == ["bread", "butter", "knife"]
    assert encoder.fit(captions(60)).version_ == first


def test_a_batch_equals_one_at_a_time():
    encoder = TextEncoder().fit(captions(60))
    texts = captions(9, seed=8)
    assert np.array_equal(encoder.transform(texts), np.concatenate([encoder.transform([text]) for text in texts]))


@pytest.mark.parametrize("texts", [[], ["", "!"], ["one"], ["the same", "the same"]])
def test_poor_catalogues_still_give_vectors(texts):
    encoder = TextEncoder().fit(texts)
    vectors = encoder.transform([*texts, "something else"])
    assert vectors.shape == (len(texts) + 1, encoder.dimensions)
    assert np.isfinite(vectors).all()


def test_dimensions_and_words_are_bounded():
    many = [f"word{at} word{at + 1} common" for at in range(900)]
    encoder = TextEncoder().fit(many)
    assert len(encoder.words_) == 500
    assert encoder.dimensions == 64


def test_a_changed_text_has_another_hash():
    assert text_hash("neon") != text_hash("neon ")
    assert text_hash("neon") == text_hash("neon")
