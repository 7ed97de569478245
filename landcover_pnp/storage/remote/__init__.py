"""Files at addresses: which may be opened, read in parts, downloaded."""
