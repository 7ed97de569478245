"""Sources: each gives a Scene, all its layers on one working grid."""
