"""Notebook 05: planted concepts, used, held and shown (G1 to G4)."""
