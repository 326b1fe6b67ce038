"""All of a study that lies on disk: where it lies, how files are written, what vouches for them, the tables."""
