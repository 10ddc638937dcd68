"""Recommendation engine: trains and keeps models, and answers every feed.

Others may call
- `feed.build_feed(query, now=...)`: one ranked page,
- `training.train(config, until=...)`, `registry` (register, promote, roll_back, champion): models and their versions,
- `queries`: what was served, which models there are.
Nobody but this app imports `ranking.models`.
"""
