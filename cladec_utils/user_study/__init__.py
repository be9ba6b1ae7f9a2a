"""Notebooks 07 and 08: a study with participants (C5)."""
