"""A user's files, EnviroAtlas or a synthetic city become one Scene."""
