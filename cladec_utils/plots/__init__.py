"""Figures: images, charts, intervals."""
