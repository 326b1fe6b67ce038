"""A study as data: its configuration, its plan, its jobs and what each depends on. No torch."""
