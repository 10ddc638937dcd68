"""Moderation as arithmetic: what a log of actions says of a subject and of an author, and what is looked at first."""
