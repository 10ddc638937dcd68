"""The one list of features and the pure functions that compute them."""
