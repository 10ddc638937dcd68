import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from events.importers import movielens
from events.importers.batches import Batch, batches
from events.importers.rows import SourceError


def all_rows(path: Path) -> Batch:
    """Every file of the data set as one batch."""
    whole = Batch()
    for file in movielens.discover(path).files:
        for batch in batches(file):
            whole.events += batch.events
            whole.contents += batch.contents
            whole.profiles += batch.profiles
            whole.bad += batch.bad
    return whole


def atomic(folder: Path, *ratings: str) -> Path:
    (folder / "tiny.inter").write_text(
        "\n".join(["user_id:token\titem_id:token\trating:float\ttimestamp:float", *ratings])
    )
    (folder / "tiny.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '7\tA "quoted" title\t1995\tAnimation Comedy\n8\tunknown\t\t\n'
    )
    (folder / "tiny.user").write_text("user_id:token\tage:token\tzip_code:token\n1\t24\t01002\n")
    return folder


@pytest.mark.parametrize(
    ("rating", "types", "long_view"),
    [(5, ["impression", "view", "like"], True), (3, ["impression", "view"], True), (2, ["impression", "view"], False)],
)
def test_a_rating_says_seen_and_how_it_was_liked(
    tmp_path: Path, rating: int, types: list[str], long_view: bool
) -> None:
    batch = all_rows(atomic(tmp_path, f"1\t7\t{rating}\t881250949"))
    assert [event["event_type"] for event in batch.events] == types
    assert batch.events[1]["long_view"] is long_view
    assert batch.events[0]["timestamp"] == datetime(1997, 12, 4, 15, 55, 49, tzinfo=UTC)
    assert [event["timestamp"] for event in batch.events] == sorted(event["timestamp"] for event in batch.events)


def test_films_and_users_come_with_the_ratings(tmp_path: Path) -> None:
    batch = all_rows(atomic(tmp_path, "1\t7\t4\t881250949"))
    first, second = batch.contents
    assert first.metadata == {
        "caption": 'A "quoted" title',
        "tags": ["Animation", "Comedy"],
        "category": "Animation",
    }
    assert (first.creator_id, first.upload_timestamp) == ("movie-7", datetime(1995, 1, 1, tzinfo=UTC))
    assert second.metadata == {"caption": "unknown", "tags": []}
    [user] = batch.profiles
    assert user.demographics == {"age": 24, "zip_code": "01002"}


def test_double_colon_files_are_read_with_their_latin_letters(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n1::broken\n")
    (tmp_path / "movies.dat").write_bytes("7::Misérables, Les (1995)::Drama|Musical\n".encode("latin-1"))
    batch = all_rows(tmp_path)
    assert len(batch.events) == 3
    assert batch.contents[0].metadata["caption"] == "Misérables, Les"
    assert [(bad.file, bad.line) for bad in batch.bad] == [("ratings.dat", 2)]


def test_csv_files_are_read_also_when_compressed(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "ratings.csv.gz", "wt") as file:
        file.write("userId,movieId,rating,timestamp\n1,7,3.5,1112486027\n1,7,great,1112486027\n")
    (tmp_path / "movies.csv").write_text(
        'movieId,title,genres\n7,"American President, The (1995)",Comedy\n8,Odd,(no genres listed)\n'
    )
    batch = all_rows(tmp_path)
    assert [event["event_type"] for event in batch.events] == ["impression", "view"]
    assert [content.metadata["caption"] for content in batch.contents] == ["American President, The", "Odd"]
    assert batch.contents[1].metadata["tags"] == []
    assert batch.bad[0].reason == "rating is no number: 'great'"


def test_a_folder_without_ratings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither"):
        movielens.discover(tmp_path)
    (tmp_path / "ratings.dat").write_text("1,2,3\n")
    with pytest.raises(SourceError, match="expected user::movie"):
        movielens.discover(tmp_path)
