"""Running a study: the warm worker and how jobs reach it, the executor, the display, errors in plain words."""
