"""Data ingestion layer: takes in every interaction, cleans it, keeps it, and lets the later stages read it.

Others may call
- `ingestion.ingest(raw_events, ...)`: the only writer of the event log,
- `catalogue.register_contents / update_profiles / set_moderation_state`: the only writers of contents and users,
- `user_past.user_past(user_id, since=...)`: all that a feed must know of one user, in one statement,
- `queries`: columnar reads (`interactions_between`, `recent_history`, `eligible_cards`, `catalogue_table`, ...),
- `authentication`, `errors`, `bodies`: what every API view shares,
- `columnar`: the frozen array containers that cross app borders.
Nobody but this app imports `events.models`.
"""
