"""The command `scorepath`."""
