"""The rule by which modalities become one vector, checked against its formula."""

import numpy as np
import pytest

from features.embeddings.combine import DIMENSIONS, GIVEN, PRIOR_CONTENTS, SHARES, ContentEncoder

RNG = np.random.default_rng(0)
TEXTS = [f"{word} {other}" for word in ("neon", "ocean", "cat", "bread") for other in ("night", "day", "song", "walk")]
VERSIONS = {"sentence": "sentence-1", "visual": "visual-1", "audio": "audio-1"}


def units(count: int, name: str, *, offset: float = 0.0) -> np.ndarray:
    vectors = RNG.normal(size=(count, DIMENSIONS[name])) + offset
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def blocks(count: int, **offsets: float) -> dict[str, np.ndarray]:
    return {name: units(count, name, offset=offsets.get(name, 0.0)) for name in DIMENSIONS}


def fitted(samples=None) -> ContentEncoder:
    return ContentEncoder().fit(TEXTS, samples or {}, VERSIONS)


def test_the_cosine_is_the_weighted_mean_of_the_cosines_within_modalities():
    encoder, given = fitted(), blocks(16)
    vectors = encoder.transform(TEXTS, given)
    words = encoder.text_.transform(TEXTS)
    expected = SHARES["words"] * words[0] @ words[1]
    expected += sum(SHARES[name] * given[name][0] @ given[name][1] for name in DIMENSIONS)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert vectors[0] @ vectors[1] == pytest.approx(expected, abs=1e-6)
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_a_missing_modality_says_nothing_and_the_rest_has_unit_length():
    encoder, given = fitted(), blocks(2)
    alone = {**given, "visual": np.zeros((2, 64), np.float32), "audio": np.zeros((2, 80), np.float32)}
    whole, part = encoder.transform(TEXTS[:2], given), encoder.transform(TEXTS[:2], alone)
    assert np.linalg.norm(part, axis=1) == pytest.approx(1.0, abs=1e-6)
    # Text alone against everything: sqrt(0.5 / 1).
    assert part[0] @ whole[0] == pytest.approx(np.sqrt(SHARES["words"] + SHARES["sentence"]), abs=1e-6)


def test_unrelated_contents_have_no_cosine_on_average_whatever_they_lack():
    # Encoders whose vectors all lean one way, as those of a network do before they are centred.
    samples = blocks(4000, sentence=0.5, visual=0.5, audio=0.5)
    encoder = fitted(samples)
    given = blocks(400, sentence=0.5, visual=0.5, audio=0.5)
    zero = {name: np.zeros_like(given[name]) for name in given}
    sets = {
        "all": given,
        "text": {**zero, "sentence": given["sentence"]},
        "media": {**given, "sentence": zero["sentence"]},
    }
    nothing = [""] * 400
    vectors = {name: encoder.transform(nothing, chosen) for name, chosen in sets.items()}
    for one in vectors.values():
        for other in vectors.values():
            cosine = one[:200] @ other[200:].T
            assert abs(float(cosine.mean())) < 0.03


def test_a_content_without_anything_has_the_zero_vector():
    assert not fitted().transform([""], {}).any()


def test_an_encoder_survives_the_disk_to_the_bit(tmp_path):
    encoder, given = fitted(blocks(50)), blocks(16)
    encoder.save(tmp_path)
    loaded = ContentEncoder.load(tmp_path)
    assert loaded.version_ == encoder.version_
    assert loaded.contents_ == {"words": 16, "sentence": 50, "visual": 50, "audio": 50, "given": 0}
    assert np.array_equal(loaded.transform(TEXTS, given), encoder.transform(TEXTS, given))


def test_the_version_follows_what_it_is_made_of():
    base = fitted()
    assert base.version_ == fitted().version_
    assert base.version_.startswith("content-")
    assert ContentEncoder().fit(TEXTS, {}, {**VERSIONS, "visual": "visual-2"}).version_ != base.version_
    assert fitted(blocks(50)).version_ != base.version_
    assert ContentEncoder().fit(TEXTS[:8], {}, VERSIONS).version_ != base.version_


def test_it_is_outgrown_by_texts_soon_and_by_media_only_when_there_are_many():
    encoder = fitted()
    assert not encoder.outgrown_by({"words": 19, "visual": 200}, growth=0.2)
    assert encoder.outgrown_by({"words": 20}, growth=0.2)
    assert encoder.outgrown_by({"words": 16, "visual": 201}, growth=0.2)


SPACE = {**VERSIONS, GIVEN: "given-clip-6"}


def given_vectors(count: int, *, offset: float = 0.0) -> np.ndarray:
    vectors = RNG.normal(size=(count, 6)) + offset
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_given_vectors_compare_by_themselves_and_with_nothing_else():
    sample = given_vectors(300, offset=1.0)
    encoder = ContentEncoder().fit(TEXTS, {GIVEN: sample}, SPACE)
    theirs = given_vectors(16, offset=1.0)
    theirs[8:] = 0.0
    vectors = encoder.transform(TEXTS, {**blocks(16), GIVEN: theirs})
    assert vectors.shape == (16, encoder.dimensions)
    centred = theirs[:8] - sample.sum(axis=0) / (300 + PRIOR_CONTENTS)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    assert vectors[:8] @ vectors[:8].T == pytest.approx(centred @ centred.T, abs=1e-5)
    assert not (vectors[:8] @ vectors[8:].T).any(), "neither alike nor different"
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)


def test_contents_without_a_given_vector_compare_as_if_nobody_gave_any():
    mixed = ContentEncoder().fit(TEXTS, {GIVEN: given_vectors(5)}, SPACE)
    both = blocks(16)
    some = np.concatenate([given_vectors(4), np.zeros((12, 6), np.float32)])
    plain, among = fitted().transform(TEXTS, both)[4:], mixed.transform(TEXTS, {**both, GIVEN: some})[4:]
    assert among @ among.T == pytest.approx(plain @ plain.T, abs=1e-6)


def test_the_space_belongs_to_the_version_and_survives_the_disk(tmp_path):
    encoder = ContentEncoder().fit(TEXTS, {GIVEN: given_vectors(5)}, SPACE)
    other = ContentEncoder().fit(TEXTS, {GIVEN: given_vectors(0)}, {**VERSIONS, GIVEN: "given-clip2-6"})
    assert len({encoder.version_, other.version_, fitted().version_}) == 3
    encoder.save(tmp_path)
    loaded = ContentEncoder.load(tmp_path)
    assert (loaded.version_, loaded.given_dimensions) == (encoder.version_, 6)
    both = {**blocks(16), GIVEN: given_vectors(16)}
    assert np.array_equal(loaded.transform(TEXTS, both), encoder.transform(TEXTS, both))


def test_an_encoder_from_before_there_were_given_vectors_is_still_read(tmp_path):
    encoder = fitted()
    encoder.save(tmp_path)
    with np.load(tmp_path / "content_encoder.npz") as arrays:
        np.savez(tmp_path / "content_encoder.npz", **{name: arrays[name] for name in DIMENSIONS})
    loaded = ContentEncoder.load(tmp_path)
    assert (loaded.version_, loaded.dimensions) == (encoder.version_, encoder.dimensions)
