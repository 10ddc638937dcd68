"""Media files to arrays: what a file is, its frames and its sound, and every reason why it has none.

Pure as the other folders: no Django, no database. `child` is a program of its own, in which files of strangers are
decoded; nothing else may import what decodes.
"""
