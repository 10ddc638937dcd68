"""What an upload looks like to rules: numbers about its text, its frames and its likeness to what was banned. Pure."""

from importlib.metadata import PackageNotFoundError, version


def version_of(package: str) -> str:
    """A package with its version, as it is kept beside every score.

    >>> version_of("no-such-package")
    'no-such-package (missing)'
    """
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} (missing)"
