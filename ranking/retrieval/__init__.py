"""Finding what somebody may want next in the whole catalogue, by several models at once; pure."""
