"""One training for many tests: what it left is kept, and each test that asks for it gets a copy of its own."""

import copy
import shutil
from pathlib import Path

from django.conf import settings
from django.core import serializers

from ranking import registry
from ranking.models import ModelMove, ModelVersion
from ranking.training import TrainReport, train_and_promote
from tests.ranking.test_training import NOW, QUICK


class KeptTraining:
    """The usual training of `test_training`'s world, which is the same to the last event in every test."""

    def __init__(self, folder: Path) -> None:
        self._models = folder / "models"
        self._rows = ""
        self._report: TrainReport | None = None

    def champion(self) -> TrainReport:
        """The report of the training, whose model serves in this test from now on; the first who asks trains it."""
        if self._report is None:
            report = train_and_promote(QUICK, until=NOW, now=NOW)
            assert report.promoted, str(report)
            self._rows = serializers.serialize("json", [*ModelVersion.objects.all(), *ModelMove.objects.all()])
            shutil.copytree(settings.MODEL_DIR, self._models)
            self._report = report
        else:
            shutil.copytree(self._models, settings.MODEL_DIR, dirs_exist_ok=True)
            for row in serializers.deserialize("json", self._rows):
                if isinstance(row.object, ModelMove):
                    row.object.pk = None  # numbered by the database
                row.save()
            registry.forget()
        return copy.deepcopy(self._report)
