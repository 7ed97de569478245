"""Domain transfer: one city's labels, other cities' maps, every method, every protocol."""
