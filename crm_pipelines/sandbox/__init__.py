"""Local stand-ins for the APIs of CRMs: what all have in common is in `core`, the rest in a folder for each."""

SANDBOXES = ("brevo", "hubspot", "mautic", "n8n")
"""The CRM products that have one."""
