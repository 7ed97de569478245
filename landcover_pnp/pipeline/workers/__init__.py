"""Worker processes of dask, and the tasks they do."""
