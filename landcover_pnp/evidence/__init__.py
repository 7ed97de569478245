"""What image and coarse labels say: weak labels, p(class | code), spectral indices, clusters."""
