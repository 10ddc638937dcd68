"""Benchmarks of the running product: `manage.py bench`.

Each one is a module with a function `Options -> Result` and an entry in `registry.py`. It runs in a process of its own,
on a scratch database beside the configured one and in a scratch folder, so it cannot touch anybody's data. Speeds
depend on the machine and on what else it does, so each is printed beside a limit or a peer measured in the same run.
"""
