"""What an experiment says, as it was computed last. Written by `experiment_results` only; it can be made again."""

from django.db import models


class ExperimentReading(models.Model):
    """The newest reading of one phase of an experiment."""

    pk = models.CompositePrimaryKey("experiment", "phase")
    experiment = models.CharField(max_length=32)
    phase = models.PositiveSmallIntegerField()
    data = models.JSONField(help_text="See experiment_results.")
    read_at = models.DateTimeField()

    class Meta:
        db_table = "experiment_reading"

    def __str__(self) -> str:
        return f"{self.experiment}/{self.phase} at {self.read_at:%Y-%m-%d %H:%M}"
