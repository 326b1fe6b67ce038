"""The ledger's experiments: one file, one claim, which states its prediction before anything is measured.

A file defines `CLAIM`. A new one is found by its name; nothing else names it.
"""
