"""`python -m recsys.benchmarks <name> <result file>`: one benchmark, inside the scratch place that `scratch` made."""

import argparse
import json
from datetime import date
from pathlib import Path

import django


def main() -> None:
    """Create the tables, run the benchmark, write its result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("answer", type=Path)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--path", type=Path)
    parser.add_argument("--dataset")
    parser.add_argument("--train-until", type=date.fromisoformat)
    parser.add_argument("--mode")
    parser.add_argument("--contents", type=int)
    arguments = parser.parse_args()
    django.setup()

    # These need the settings that `setup` has loaded.
    from django.core.management import call_command  # noqa: PLC0415

    from recsys.benchmarks.registry import BENCHMARKS  # noqa: PLC0415
    from recsys.benchmarks.results import Options  # noqa: PLC0415
    from recsys.benchmarks.scratch import BenchmarkFailedError  # noqa: PLC0415

    call_command("migrate", verbosity=0)
    options = Options(
        arguments.quick,
        arguments.path,
        arguments.dataset,
        arguments.train_until,
        arguments.mode,
        arguments.contents,
    )
    try:
        result = BENCHMARKS[arguments.name].run(options)
    except BenchmarkFailedError as error:
        raise SystemExit(str(error)) from error
    arguments.answer.write_text(json.dumps(result.to_json()))


if __name__ == "__main__":
    main()
