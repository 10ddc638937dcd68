"""How times are written where people read them: in full, in order, on a clock of 24 hours, as the log has them."""
