"""A finished run as products: QGIS project, polygons, report, STAC, statistics by zone."""
