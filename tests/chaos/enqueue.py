"""`python -m tests.chaos.enqueue TASK`: send a task; `... whole VERSION`: load a model of the repository."""

# ruff: noqa: PLC0415  Django is set up first
import os
import sys

import django


def say(text: object) -> None:
    sys.stdout.write(f"{text}\n")


def main(what: str, *arguments: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recsys.settings")
    django.setup()
    if what == "whole":
        from ranking.registry import load_version

        say(f"{load_version(*arguments).version} is whole")
        return
    from recsys.celery import app

    app.send_task(what, args=arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
