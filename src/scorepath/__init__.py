"""Scorepath: when do pathwise gradients beat REINFORCE? A study and the library behind it."""

__version__ = "0.1.0"
