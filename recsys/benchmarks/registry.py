"""The list of benchmarks. A new one is a module with a `run` and a line here."""

from recsys.benchmarks import features, feed, import_rows, ingest, sessions
from recsys.benchmarks.results import Benchmark

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "import", "source rows per second of a KuaiRand folder, beside one COPY of the same rows", import_rows.run
        ),
        Benchmark("ingest", "events per second over HTTP, beside one COPY of the same rows", ingest.run),
        Benchmark("sessions", "cutting 10 million events into sessions, beside numpy and DuckDB", sessions.run),
        Benchmark(
            "features",
            "taking 10 million events into the feature store, and fetching from it, beside Valkey",
            features.run,
        ),
        Benchmark("feed", "latency of the feed of a live server, beside an endpoint that does nothing", feed.run),
    )
}
