"""Make the encoder of frames: `python -m features.embeddings.export NAME WEIGHTS FOLDER`; WEIGHTS "" means the usual.

A program of its own, because it needs TensorFlow and a gigabyte for a quarter of a minute, once.
"""

import os
import sys
from pathlib import Path

from features.embeddings import backbones, visual


def main(name: str, weights: str, folder: str) -> int:
    """Export and write; one sentence on stderr when it cannot be done."""
    try:
        visual.write(Path(folder), backbones.export(name, Path(weights) if weights else None))
    except backbones.BackboneError as error:
        sys.stderr.write(" ".join(str(error).split()) + "\n")
        return 1
    return 0


if __name__ == "__main__":
    # The demo's first feed and first model must not wait for it.
    os.nice(10)
    sys.exit(main(*sys.argv[1:]))
