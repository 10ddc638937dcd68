"""The contracts of the stages, and the one loop that runs them."""
