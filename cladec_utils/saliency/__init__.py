"""Notebook 06: relevance maps and how faithful they are (C6)."""
