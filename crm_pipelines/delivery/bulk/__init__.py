"""Delivering many contacts in one file: whether it may be, the file, and what became of each."""
