"""Interaction logs and catalogues: readers, the toy world, and the library of imported sets."""
