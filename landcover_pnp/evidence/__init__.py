"""What image and coarse labels say: weak labels, p(class | NLCD), spectral indices, clusters."""
