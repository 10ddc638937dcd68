"""Models that score candidates, how their examples are made, how they are saved."""
