"""Pure readers of foreign formats: files in, raw events, contents and profiles out.

Each format is one module with a `discover(path, ...) -> Dataset`: the files it found, in the order in which they must
be imported, and for each file how a record becomes rows. `batches.py` runs a file; `events.importing` stores what comes
out. Nothing here validates events: that is the same code for every door, `events.cleaning`.
"""
