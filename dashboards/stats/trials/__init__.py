"""Statistics of experiments: arms in, effects with intervals out. Arrays and numbers alone, no clock, no database."""
