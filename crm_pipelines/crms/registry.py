"""The CRM products that there is a module for. A module is loaded when its first destination is opened."""

from importlib import import_module

from crm_pipelines.crms.base import Crm, Kind, Mapper
from crm_pipelines.settings import CrmSettings, NotConfigured, Settings

_MODULES = {
    "brevo": "crm_pipelines.crms.brevo",
    "hubspot": "crm_pipelines.crms.hubspot",
    "mautic": "crm_pipelines.crms.mautic",
    "n8n": "crm_pipelines.crms.n8n",
}


def kind_of(destination: CrmSettings) -> Kind:
    """What the module of the destination's CRM offers."""
    kind: Kind = import_module(_MODULES[destination.kind]).KIND
    return kind


def mapper_of(settings: Settings, name: str) -> Mapper:
    """What of a contact goes to this destination; needs no credentials.

    Raises UnknownDestination, and SettingsError when the mapping file or the phone region is wrong.
    """
    destination = settings.destination(name)
    return kind_of(destination).mapper(destination, settings.general.crm_phone_region)


def client_of(settings: Settings, name: str) -> Crm:
    """The account of this destination; to be closed. Makes no request.

    Raises UnknownDestination, NotConfigured when its credentials are not set, and SettingsError when they are unusable.
    """
    destination = settings.destination(name)
    if (missing := destination.missing) is not None:
        raise NotConfigured(missing)
    return kind_of(destination).client(destination, settings.general.crm_phone_region)
