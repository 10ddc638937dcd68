"""The networks that look at frames: the port of EfficientNet-Lite0, its export, and what cannot be had."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from features.embeddings import backbones, visual
from features.embeddings.backbones import BackboneError
from features.embeddings.visual import VisualEncoder


@pytest.fixture(scope="module")
def exported():
    return backbones.export("efficientnet-lite0")


def drawn(draw) -> np.ndarray:
    picture = Image.new("RGB", (256, 256), "white")
    draw(ImageDraw.Draw(picture))
    return np.asarray(picture)


def test_the_port_knows_what_imagenet_taught(exported):
    # A traffic light (class 920): three round lamps in a dark box. Wrong padding, order or scale and it is not found.
    def light(pen):
        pen.rectangle((0, 0, 256, 256), fill=(150, 190, 230))
        pen.rectangle((120, 210, 136, 256), fill=(60, 60, 60))
        pen.rounded_rectangle((88, 20, 168, 212), 14, fill=(25, 25, 25))
        for top, colour in ((30, (255, 40, 30)), (92, (90, 70, 10)), (154, (10, 70, 30))):
            pen.ellipse((102, top, 154, top + 52), fill=colour)

    encoder = VisualEncoder(exported.onnx, exported.mean, visual.directions(exported.classifier, 1280))
    features = encoder.features(drawn(light)[None])
    scores = (features @ exported.classifier.T + exported.classifier_bias)[0]
    assert features.shape == (1, 1280)
    assert 920 in np.argsort(-scores)[:3]


def test_an_encoder_survives_the_disk_and_damage_is_noticed(exported, tmp_path):
    folder = tmp_path / "visual-1"
    visual.write(folder, exported)
    frames = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), np.uint8)
    loaded = VisualEncoder.load(folder)
    fresh = VisualEncoder(exported.onnx, exported.mean, visual.directions(exported.classifier, 1280))
    assert np.array_equal(loaded.encode(frames), fresh.encode(frames))
    assert np.linalg.norm(loaded.encode(frames)) == pytest.approx(1.0, abs=1e-6)
    # A second worker that made it at the same time changes nothing.
    visual.write(folder, exported)
    assert [path.name for path in tmp_path.iterdir()] == ["visual-1"]
    (folder / "projection.npz").write_bytes(b"damage")
    with pytest.raises(ValueError, match="damaged"):
        VisualEncoder.load(folder)


def test_directions_are_orthonormal_with_and_without_a_classifier(exported):
    for classifier in (exported.classifier, None):
        found = visual.directions(classifier, 1280)
        assert found.shape == (1280, visual.DIMENSIONS)
        assert found.T @ found == pytest.approx(np.eye(visual.DIMENSIONS), abs=1e-4)


def test_the_mean_over_imagenet_in_closed_form_is_that_of_a_simulation():
    rng = np.random.default_rng(0)
    gain, shift = np.array([0.5, 1.0, 3.0, -2.0]), np.array([-1.0, 0.2, 4.0, 0.0])
    draws = np.clip(rng.normal(size=(400_000, 4)) * gain + shift, 0.0, 6.0).mean(axis=0)
    assert backbones._mean_activation(gain, shift, most=6.0) == pytest.approx(draws, abs=0.02)


def test_what_cannot_be_had_is_said_in_a_sentence(tmp_path):
    with pytest.raises(BackboneError, match="vgg"):
        backbones.export("vgg")
    with pytest.raises(BackboneError, match=r"absent\.h5"):
        backbones.export("resnet50", tmp_path / "absent.h5")
    (tmp_path / "bad.h5").write_bytes(b"no weights")
    with pytest.raises(BackboneError, match="VISUAL_WEIGHTS"):
        backbones.export("resnet50", tmp_path / "bad.h5")
    with pytest.raises(BackboneError, match="EfficientNet-Lite0"):
        backbones.export("efficientnet-lite0", Path(tmp_path / "bad.h5"))
