"""A local stand-in for Mautic 5's REST API: a real HTTP server on a loopback address, with the quirks of its source."""
