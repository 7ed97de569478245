"""Products for people and programs: styles, QGIS projects, vectors, catalogues, reports."""
