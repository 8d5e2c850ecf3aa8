"""The queue: claims on contacts, the ledger of what came of them, and bulk imports under way at a CRM."""
