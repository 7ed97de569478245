"""Image models self-trained on a finished map."""
