"""A local stand-in for Brevo's API v3: a real HTTP server on a loopback address, with its documented quirks."""
