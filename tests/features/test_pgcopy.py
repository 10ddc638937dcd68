import io

import numpy as np
import pytest
from django.db import connection

from features import pgcopy
from features.pgcopy import decode_vectors, encode_rows

pytestmark = pytest.mark.django_db


def test_rows_come_back_as_they_were_whatever_the_script_of_their_ids():
    ids = ["a", "clip-22", "köln", "動画", "x" * 200]
    code = np.array([4, 0, 3, 3, 1, 2], np.int64)
    moments = np.array([0.0, 1.5, 1_790_000_000.123456, -3600.0, 946_684_800.0, 4e9])
    vectors = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    vectors[0, 0] = np.float32(1e-38)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (id text, a timestamptz, b timestamptz, tag text, v real[]) ON COMMIT DROP")
        rows = encode_rows(ids, code, [moments, moments + 1], "tag", vectors)
        cursor.copy_expert("COPY t FROM STDIN (FORMAT binary)", io.BytesIO(rows))
        cursor.execute("SELECT id, date_part('epoch', a), date_part('epoch', b), tag, v FROM t ORDER BY a")
        found = cursor.fetchall()
    order = np.argsort(moments)
    assert [row[0] for row in found] == [ids[code[at]] for at in order]
    assert [row[1] for row in found] == pytest.approx(moments[order].tolist(), abs=1e-6)
    assert [row[2] for row in found] == pytest.approx((moments[order] + 1).tolist(), abs=1e-6)
    assert {row[3] for row in found} == {"tag"}
    assert np.array_equal(np.array([row[4] for row in found], np.float32), vectors[order])


def test_no_rows_are_a_valid_empty_copy():
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE t (id text, tag text, v real[]) ON COMMIT DROP")
        empty = encode_rows([], np.empty(0, np.int64), [], "tag", np.empty((0, 3), np.float32))
        cursor.copy_expert("COPY t FROM STDIN (FORMAT binary)", io.BytesIO(empty))
        cursor.execute("SELECT count(*) FROM t")
        assert cursor.fetchone() == (0,)


def test_arrays_survive_a_round_through_postgres(db):
    reals, integers = np.array([0.5, -3e9, np.inf], np.float32), np.array([-1, 2**31 - 1], np.int32)
    texts = ["plain", 'with "quotes", \\ and {}', "日本", ""]
    rows = [
        [pgcopy.moment(1.79e9 + 0.25), pgcopy.integer(2**40), pgcopy.boolean(True), pgcopy.texts(texts),
         pgcopy.integers(integers), pgcopy.reals(reals)],
        [pgcopy.moment(0.0), pgcopy.integer(-1), pgcopy.boolean(False), pgcopy.texts([]),
         pgcopy.integers(integers[:0]), pgcopy.reals(reals[:0])],
    ]  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE arrays (at timestamptz, n int8, yes bool, t text[], i int4[], r float4[])")
        cursor.copy_expert("COPY arrays FROM STDIN (FORMAT binary)", io.BytesIO(pgcopy.join_rows(rows)))
        cursor.execute("SELECT n, yes, t, i, r FROM arrays ORDER BY n")
        assert cursor.fetchall() == [
            (-1, False, [], [], []),
            (2**40, True, texts, integers.tolist(), reals.tolist()),
        ]
        out = io.BytesIO()
        cursor.copy_expert("COPY (SELECT * FROM arrays ORDER BY n DESC) TO STDOUT (FORMAT binary)", out)
    (at, n, yes, t, i, r), (_, _, _, *empty) = pgcopy.split_rows(out.getvalue())
    assert (pgcopy.seconds(at), int.from_bytes(n), yes[0]) == (1.79e9 + 0.25, 2**40, 1)
    assert pgcopy.to_texts(t) == texts
    assert np.array_equal(pgcopy.to_integers(i), integers)
    assert np.array_equal(pgcopy.to_reals(r), reals)
    assert [len(pgcopy.to_texts(empty[0])), len(pgcopy.to_integers(empty[1])), len(pgcopy.to_reals(empty[2]))] == [
        0
    ] * 3


def _copied(query):
    buffer = io.BytesIO()
    with connection.cursor() as cursor:
        cursor.copy_expert(f"COPY ({query}) TO STDOUT (FORMAT binary)", buffer)
    return buffer.getbuffer()


def test_vectors_are_read_back_to_the_bit(db):
    vectors = "(VALUES (7::bigint, 0.1::float8, '{1.5,1e-45,-0}'::real[]), (-1, 1e300, '{3,NaN,0.1}')) AS v"
    number, value, read = decode_vectors(_copied(f"SELECT * FROM {vectors}"), width=3)
    assert number.tolist() == [7, -1]
    assert value.tolist() == [0.1, 1e300]
    expected = np.array([[1.5, 1e-45, -0.0], [3, np.nan, 0.1]], np.float32)
    assert read.tobytes() == expected.tobytes()
    assert decode_vectors(_copied(f"SELECT * FROM {vectors} WHERE false"), width=3)[2].shape == (0, 3)


def test_vectors_of_another_width_are_refused(db):
    rows = _copied("SELECT 1::bigint, 1::float8, '{1,2}'::real[]")
    with pytest.raises(ValueError, match="not of vectors of 3 float4"):
        decode_vectors(rows, width=3)
