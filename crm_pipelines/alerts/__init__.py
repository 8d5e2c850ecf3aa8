"""Telling people. Channels for alerts."""
