"""What the sandbox imitates beyond the obvious, and how sure that is."""

from crm_pipelines.sandbox.core.quirks import Quirk

QUIRKS: tuple[Quirk, ...] = (Quirk("No transactions: the contacts of a batch are saved one by one.", "source", False),)
