"""Progress of a long benchmark, on standard error, so that the JSON of the command stays alone on standard output."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

Item = TypeVar("Item")


@contextmanager
def steps(items: Sequence[Item], what: str) -> Generator[Iterator[Item], None, None]:
    """The items one by one, each shown before the work on it begins.

    Parameters
    ----------
    what : says what an item is
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=len(items))

        def each() -> Iterator[Item]:
            for item in items:
                shown = f"{item:,}" if isinstance(item, int) else str(item)
                progress.update(task, description=f"{what}: {shown}")
                yield item
                progress.advance(task)

        yield each()
