"""A local stand-in for n8n: a real HTTP server on a loopback address with the webhook of one workflow."""
