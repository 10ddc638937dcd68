"""What a raw event must be, and the rules that make it so."""
