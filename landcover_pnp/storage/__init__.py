"""Everything on disk: rasters, complete files, run folders, records, locks, verification."""
