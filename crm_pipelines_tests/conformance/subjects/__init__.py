"""One module per kind. A new kind joins KINDS, and is done when it claims what it can do and all of that is green."""

from collections.abc import Mapping

from crm_pipelines_tests.conformance.subject import Subject
from crm_pipelines_tests.conformance.subjects.brevo import BrevoSubject
from crm_pipelines_tests.conformance.subjects.hubspot import HubspotSubject
from crm_pipelines_tests.conformance.subjects.mautic import MauticSubject
from crm_pipelines_tests.conformance.subjects.n8n import N8nOnceSubject, N8nSubject
from crm_pipelines_tests.conformance.subjects.postbox import PostboxOnceSubject, PostboxSubject

KINDS: Mapping[str, type[Subject]] = {
    one.kind: one
    for one in (
        BrevoSubject,
        HubspotSubject,
        MauticSubject,
        N8nSubject,
        N8nOnceSubject,
        PostboxSubject,
        PostboxOnceSubject,
    )
}
