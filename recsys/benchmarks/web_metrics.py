"""What the processes of a web server counted, read from the files of its Prometheus client."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

Sample = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Readings:
    """Samples by name and labels, added up over processes."""

    samples: Mapping[Sample, float]

    @classmethod
    def of(cls, folder: Path) -> "Readings":
        """The samples in a folder of `PROMETHEUS_MULTIPROC_DIR`."""
        registry = CollectorRegistry()
        # The client library leaves its constructor untyped.
        MultiProcessCollector(registry, path=str(folder))  # type: ignore[no-untyped-call]
        return cls(
            {
                (sample.name, tuple(sorted(sample.labels.items()))): sample.value
                for metric in registry.collect()
                for sample in metric.samples
            }
        )

    def since(self, earlier: "Readings") -> "Readings":
        """What was counted after an earlier reading."""
        return Readings({key: value - earlier.samples.get(key, 0.0) for key, value in self.samples.items()})

    def total(self, name: str) -> float:
        """The sum of a counter over its labels."""
        return sum(value for (known, _), value in self.samples.items() if known == name)

    def labels(self, name: str, label: str) -> list[str]:
        """The values of a label that a histogram has observed, in order of their first appearance."""
        found = (dict(labels).get(label) for known, labels in self.samples if known == f"{name}_count")
        return list(dict.fromkeys(each for each in found if each is not None))

    def quantile(self, name: str, share: float, **labels: str) -> float:
        """Quantile of a histogram, interpolated within its bucket; NaN where nothing was observed.

        >>> bounds = {("s_bucket", (("le", le),)): count for le, count in (("1.0", 1.0), ("2.0", 4.0), ("+Inf", 4.0))}
        >>> Readings(bounds).quantile("s", 0.5)
        1.3333333333333333
        """
        wanted = set(labels.items())
        buckets = sorted(
            (float(dict(known)["le"]), value)
            for (sample, known), value in self.samples.items()
            if sample == f"{name}_bucket" and wanted <= set(known)
        )
        if not buckets or buckets[-1][1] <= 0.0:
            return float("nan")
        bounds, counts = np.array(buckets).T
        place = int(np.searchsorted(counts, share * counts[-1]))
        low, below = (0.0, 0.0) if place == 0 else (bounds[place - 1], counts[place - 1])
        if np.isinf(bounds[place]):
            return float(low)
        return float(low + (bounds[place] - low) * (share * counts[-1] - below) / (counts[place] - below))
