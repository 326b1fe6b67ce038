"""Compiled kernels; `scorepath.engine` says when they are used."""
