"""Delivering contact by contact, or a few in one request."""
