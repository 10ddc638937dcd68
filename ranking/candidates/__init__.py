"""Candidate sources: each returns ids, best first."""
