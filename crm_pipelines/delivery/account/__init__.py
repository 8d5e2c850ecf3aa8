"""The one way to a CRM's account: opening it, whose it is, what it takes, and whether all is ready."""
