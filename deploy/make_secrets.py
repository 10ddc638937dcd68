"""Make the secrets that deploy/compose.yaml reads: `python3 deploy/make_secrets.py [folder]`; existing ones stay."""

import secrets
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Write the files that are missing, readable by their owner and the containers' user only."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    database, broker = _kept(folder / "postgres_password"), _kept(folder / "broker_password")
    _kept(folder / "secret_key", secrets.token_urlsafe(60))
    _kept(folder / "metrics_token")
    _kept(folder / "database_url", f"postgres://recsys:{database}@postgres:5432/recsys")
    _kept(folder / "broker_url", f"redis://:{broker}@broker:6379/0")
    sys.stdout.write(f"secrets are in {folder}\n")


def _kept(path: Path, value: str | None = None) -> str:
    if not path.exists():
        path.write_text((value or secrets.token_urlsafe(32)) + "\n", encoding="ascii")
        path.chmod(0o444)  # the folder is closed; files are mounted into containers of several users
    return path.read_text(encoding="ascii").strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "secrets")
