"""Train or load anywhere: specs, the store, the grid. Knows nothing of ClaDec."""
