"""The marts: what to recompute, in which order, and what must tie out."""
