"""Items as vectors: encoders for each modality and the table that environments and agents read."""
