"""A place becomes a scene, with where its layers are from; the data set of the paper is fetched."""
