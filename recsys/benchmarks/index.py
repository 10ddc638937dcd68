"""How fast and how completely nearest neighbours are found, beside numpy, hnswlib and pgvector in the same run.

The rows are clustered unit vectors (2,000 centres and as much noise), which is the hard case for anything approximate:
recall depends on the data, so the same engine answers very differently on uniform noise or on well separated groups.
"""

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

import faiss
import numpy as np
from django.db import connection
from numpy.typing import NDArray

from features.embeddings.index import VectorIndex, recall
from recsys.benchmarks.progress import steps
from recsys.benchmarks.results import Bar, Options, Result

SIZES: Final = (10_000, 100_000, 1_000_000)
QUICK_SIZES: Final = SIZES[:2]
DIMENSIONS: Final = 128
CENTRES: Final = 2_000
QUERIES: Final = 200
DEPTH: Final = 100
LEAST_RECALL: Final = 0.98
MOST_BUILD_S: Final = 300.0
PEER_LIMIT: Final = 100_000
"""hnswlib and pgvector take minutes to build beyond this."""
HNSW: Final = {"M": 32, "ef_construction": 100, "ef": 512}

Vectors = NDArray[np.float32]
Search = Callable[[Vectors], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine over one set of rows."""

    name: str
    build_s: float
    megabytes: float
    search: Search


@dataclass(frozen=True, slots=True)
class Measured:
    """What an engine did with the queries."""

    name: str
    recall: float
    p50_ms: float
    p99_ms: float
    build_s: float
    megabytes: float


def run(options: Options) -> Result:
    """Measure every engine at every size."""
    figures: dict[str, float] = {}
    rows: list[tuple[str, ...]] = []
    bars: list[Bar] = []
    with steps(QUICK_SIZES if options.quick else SIZES, "rows") as sizes:
        for size in sizes:
            vectors, queries = clustered(size), clustered(QUERIES, seed=1)
            exact = faiss.knn(queries, vectors, DEPTH, metric=faiss.METRIC_INNER_PRODUCT)[1]
            found = [_measure(engine, queries, exact) for engine in _engines(vectors)]
            for each in found:
                rows.append(_row(size, each))
                figures |= {f"{each.name}_{size}_{name}": value for name, value in _figures(each).items()}
            ours = found[0]
            bars += [
                Bar.at_least(f"index: recall@100 at {size:,}", ours.recall, LEAST_RECALL),
                Bar.at_most(f"index: build s at {size:,}", ours.build_s, MOST_BUILD_S),
            ]
    rows += [("", name, "not installed, not compared", "", "") for name in _missing()]
    columns = ("rows", "engine", "recall@100", "query p50 / p99", "build, size")
    return Result("index", figures, columns, rows, bars)


def clustered(count: int, *, seed: int = 0) -> Vectors:
    """Unit vectors around common centres, float32 (count, 128); other seeds are other rows around the same centres."""
    centres = np.random.default_rng(17).normal(size=(CENTRES, DIMENSIONS)).astype(np.float32)
    rng = np.random.default_rng([17, seed])
    rows = centres[rng.integers(0, CENTRES, count)]
    rows += rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def _engines(vectors: Vectors) -> Iterator[Engine]:
    yield _ours(vectors)
    yield _numpy(vectors)
    if len(vectors) <= PEER_LIMIT:
        if _has_hnswlib():
            yield _hnswlib(vectors)
        if _has_pgvector():
            yield _pgvector(vectors)


def _ours(vectors: Vectors) -> Engine:
    started = time.perf_counter()
    built = VectorIndex.build(vectors, threads=os.cpu_count() or 1)
    build_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index.faiss"
        built.save(path)
        # As a web worker has it: mapped from the file. The mapping outlives the file's name.
        loaded, megabytes = VectorIndex.load(path), path.stat().st_size / 1e6
    return Engine(f"recsys_{loaded.kind}", build_s, megabytes, lambda query: loaded.search(query, DEPTH)[0])


def _numpy(vectors: Vectors) -> Engine:
    def search(query: Vectors) -> NDArray[np.int64]:
        products = vectors @ query
        best = np.argpartition(-products, DEPTH)[:DEPTH]
        return best[np.argsort(-products[best])]

    return Engine("numpy", 0.0, vectors.nbytes / 1e6, search)


def _has_hnswlib() -> bool:
    return importlib.util.find_spec("hnswlib") is not None


def _hnswlib(vectors: Vectors) -> Engine:
    import hnswlib  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415  only benchmarks have it

    started = time.perf_counter()
    index = hnswlib.Index(space="ip", dim=DIMENSIONS)
    index.init_index(max_elements=len(vectors), M=HNSW["M"], ef_construction=HNSW["ef_construction"], random_seed=1)
    index.add_items(vectors, num_threads=os.cpu_count() or 1)
    build_s = time.perf_counter() - started
    index.set_ef(HNSW["ef"])
    index.set_num_threads(1)
    megabytes = (vectors.nbytes + len(vectors) * HNSW["M"] * 2 * 4) / 1e6
    return Engine("hnswlib", build_s, megabytes, lambda query: index.knn_query(query, DEPTH)[0][0].astype(np.int64))


def _has_pgvector() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
        return bool(cursor.fetchone()[0])


def _pgvector(vectors: Vectors) -> Engine:
    text = BytesIO(
        b"".join(f"{row}\t[{','.join(map(repr, each))}]\n".encode() for row, each in enumerate(vectors.tolist()))
    )
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS vector")
        cursor.execute("DROP TABLE IF EXISTS neighbour")
        cursor.execute(f"CREATE UNLOGGED TABLE neighbour (row int, vector vector({DIMENSIONS}))")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        started = time.perf_counter()
        cursor.copy_expert("COPY neighbour FROM STDIN", text)
        cursor.execute(
            "CREATE INDEX neighbour_near ON neighbour USING hnsw (vector vector_ip_ops) "
            f"WITH (m = {HNSW['M'] // 2}, ef_construction = {HNSW['ef_construction']})"
        )
        build_s = time.perf_counter() - started
        cursor.execute("SELECT pg_relation_size('neighbour_near') + pg_relation_size('neighbour')")
        megabytes = cursor.fetchone()[0] / 1e6
        cursor.execute(f"SET hnsw.ef_search = {HNSW['ef']}")
        cursor.execute("SET enable_seqscan = off")
    return Engine("pgvector", build_s, megabytes, _ask_postgres)


def _ask_postgres(query: Vectors) -> NDArray[np.int64]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT row FROM neighbour ORDER BY vector <#> %s::vector LIMIT %s", [str(query.tolist()), DEPTH]
        )
        return np.array([row for (row,) in cursor.fetchall()], np.int64)


def _missing() -> list[str]:
    there = {"hnswlib": _has_hnswlib(), "pgvector": _has_pgvector()}
    return [name for name, found in there.items() if not found]


def _measure(engine: Engine, queries: Vectors, exact: NDArray[np.int64]) -> Measured:
    found, took_ms = [], []
    for query in queries[:10]:
        engine.search(query)
    for query in queries:
        started = time.perf_counter()
        found.append(engine.search(query))
        took_ms.append(1e3 * (time.perf_counter() - started))
    p50, p99 = np.quantile(took_ms, (0.5, 0.99)).tolist()
    return Measured(engine.name, recall(np.array(found), exact), p50, p99, engine.build_s, engine.megabytes)


def _figures(each: Measured) -> dict[str, float]:
    return {
        "recall": each.recall, "p50_ms": each.p50_ms, "p99_ms": each.p99_ms, "build_s": each.build_s,
        "megabytes": each.megabytes,
    }  # fmt: skip


def _row(size: int, each: Measured) -> tuple[str, ...]:
    latency = f"{each.p50_ms:.2f} / {each.p99_ms:.2f} ms"
    return f"{size:,}", each.name, f"{each.recall:.4f}", latency, f"{each.build_s:.1f} s, {each.megabytes:.0f} MB"
