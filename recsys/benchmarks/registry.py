"""The list of benchmarks. A new one is a module with a `run` and a line here."""

from recsys.benchmarks import (
    content,
    exploration,
    features,
    feed,
    freshness,
    history,
    import_rows,
    incremental,
    index,
    ingest,
    kpis,
    moderation,
    ope,
    quality,
    rebuild,
    rerank,
    retrieval,
    sessions,
    trends,
)
from recsys.benchmarks.results import Benchmark

BENCHMARKS = {
    benchmark.name: benchmark
    for benchmark in (
        Benchmark(
            "import", "source rows per second of a KuaiRand folder, beside one COPY of the same rows", import_rows.run
        ),
        Benchmark("ingest", "events per second over HTTP, beside one COPY of the same rows", ingest.run),
        Benchmark("sessions", "cutting 10 million events into sessions, beside numpy and DuckDB", sessions.run),
        Benchmark("rebuild", "rebuilding the stored sessions, beside reading their events alone", rebuild.run),
        Benchmark("history", "reading one user's history from 60 partitions, beside one table", history.run),
        Benchmark(
            "exploration",
            "watch time and new contents of Thompson's slot, beside greedy and epsilon-greedy",
            exploration.run,
        ),
        Benchmark("rerank", "every re-ranker on 300 candidates, the DPP beside a search by determinants", rerank.run),
        Benchmark("trends", "trends of a million events, beside SQL that counts the same windows", trends.run),
        Benchmark(
            "content",
            "likeness of real clips, captions and sounds, hostile files, seconds per clip beside decoding",
            content.run,
        ),
        Benchmark(
            "features",
            "taking 10 million events into the feature store, and fetching from it, beside Valkey",
            features.run,
        ),
        Benchmark("kpis", "10 million events into KPIs, reading every tile, refreshing after new events", kpis.run),
        Benchmark("feed", "feeds per second of a live server, beside an endpoint that does nothing", feed.run),
        Benchmark("freshness", "how soon events, new contents and hides show in a running system", freshness.run),
        Benchmark(
            "moderation",
            "the check of uploads on innocent and planted ones, removed clips again; real media with --path",
            moderation.run,
        ),
        Benchmark("index", "nearest neighbours of 128-d vectors, beside numpy, hnswlib and pgvector", index.run),
        Benchmark("quality", "what we find and rank beside the peers, one split, on any log with --path", quality.run),
        Benchmark(
            "incremental",
            "five days of increments beside one full training, and what 10,000 examples take, with --path",
            incremental.run,
        ),
        Benchmark("ope", "off-policy estimates beside what the policies really earned, with --path", ope.run),
        Benchmark("retrieval", "what each embedding finds alone, on real data with --path", retrieval.run),
    )
}
