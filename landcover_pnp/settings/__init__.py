"""Settings of every stage as frozen dataclasses: the schema of all configuration files."""
