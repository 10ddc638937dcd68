"""Pure readers of foreign formats: files in, raw events and contents out."""
