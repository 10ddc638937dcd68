"""Vectors for contents and what follows what: text encoder, sequential item model, index."""
