"""What happens to the order after the scores."""
