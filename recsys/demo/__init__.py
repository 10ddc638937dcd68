"""The demo world: clips one can watch, people who watched them, and nothing that a real deployment depends on.

Pure: files and arrays in, files and arrays out. `manage.py seed_demo` is the only caller that touches the database or
the clock. Four families of clips (`FAMILIES`) carry the known answer of the world: every simulated user has a taste
over these families, so a feed that learns must end up showing each user more of the family they like.
"""

FAMILIES: tuple[str, ...] = ("neon", "ocean", "petri", "fractal")
VARIANTS = 24
"""Clips of a family: more than one watches in a sitting, or the feed of somebody who likes one family runs dry."""
