"""A local stand-in for HubSpot's CRM API: a real HTTP server on a loopback address, with its documented quirks."""
