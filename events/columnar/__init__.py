"""Frozen array containers that cross app borders: the log as columns, one user's history."""
