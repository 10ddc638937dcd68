"""Feature store: what is known of users and contents, at any moment.

Others may call
- `store`: `latest` and `as_of` in Postgres, and `snapshot()`, the memory-mapped arrays that serving reads,
- `materialize.materialize(until=...)`: read the log up to a moment and bring store and snapshot up to it;
  `backfill(start, end)` does hours again,
- `profiles`: profiles as features read them; `preferences.apply_feedback`: what profiles learn from likes and refusals,
- `erasure`: take a content or a user out,
- `extraction`: the one ordered list of features, and the pure functions that compute them for training and serving,
- `embeddings`: text encoder, linear item models and the sums they grow from, word2vec, FAISS index.
Nobody but this app imports `features.models`.
"""
