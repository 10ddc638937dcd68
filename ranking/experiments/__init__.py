"""Who is in which arm of which experiment, and what an arm changes. Pure: no database, no clock."""
