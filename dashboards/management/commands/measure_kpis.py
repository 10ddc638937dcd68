"""Bring the KPI rollups in line with the event log, with a progress bar."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone
from rich.progress import Progress

from dashboards import rollups


class Command(BaseCommand):
    help = "Rebuild the KPI rollups of every day whose events changed."

    def handle(self, *args: Any, **options: Any) -> None:
        with Progress() as bar:
            task = bar.add_task("KPI days", total=None)
            report = rollups.measure_kpis(
                until=timezone.now(), progress=lambda done, total: bar.update(task, completed=done, total=total)
            )
        self.stdout.write(f"{len(report.days_rebuilt)} days rebuilt")
