"""Launch config of the job: what makes no sense is refused before there is a run, in sentences."""

from typing import Any

import dagster as dg
import pytest

from crm_pipelines.orchestration.sync.batches import FetchConfig
from crm_pipelines_tests.fixtures.people import People
from crm_pipelines_tests.fixtures.pipeline import Pipeline, job_of

pytestmark = pytest.mark.usefixtures("brevo_environment")


def launch(pipeline: Pipeline, **config: Any) -> dg.ExecuteInProcessResult:
    """As with a launch from the pages, what was typed comes as it is."""
    return job_of().execute_in_process(
        run_config={"ops": {"fetch_queued_contacts": {"config": config}}},
        instance=pipeline.instance,
        raise_on_error=False,
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"limit": 0}, "limit: expected 1 or more; leave the line out for all that are due."),
        ({"limit": -3}, "limit: expected 1 or more"),
        ({"emails": ["grace@example.com", "ada at home"]}, "emails: expected e-mail addresses"),
        ({"emails": [""]}, "emails: expected e-mail addresses"),
        ({"contact_ids": ["ada@example.com"]}, "contact_ids: expected ids as in column id of contacts"),
        ({"limit": 0, "contact_ids": ["x"]}, "limit: expected 1 or more; leave the line out for all that are due. con"),
        ({"limti": 1}, "Error in config"),
        ({"limit": "ten"}, "Error in config"),
    ],
)
def test_what_makes_no_sense_is_refused_and_no_run_is_made(
    people: People, pipeline: Pipeline, config: dict[str, Any], said: str
) -> None:
    people.add()
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        launch(pipeline, **config)
    assert str(refused.value).startswith(said)
    assert pipeline.instance.get_runs_count() == 0
    assert people.states() == {"queued": 1}


def test_a_refusal_repeats_no_address(pipeline: Pipeline) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError) as refused:
        launch(pipeline, emails=["grace@example.org", "no address"], contact_ids=["grace@example.org"])
    assert "grace" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_the_form_in_the_page_is_that_of_the_config_class() -> None:
    schema = job_of().run_config_schema.config_type
    config = schema.fields["ops"].config_type.fields["fetch_queued_contacts"].config_type.fields["config"]  # type: ignore[attr-defined]
    fields = config.config_type.fields
    assert fields.keys() == FetchConfig.model_fields.keys()
    assert fields["limit"].description == "At most this many contacts, 1 or more."
    assert not any(field.is_required for field in fields.values())


@pytest.mark.parametrize("config", [{}, {"limit": 1}, {"emails": ["ADA@example.com"]}])
def test_what_makes_sense_is_launched(people: People, pipeline: Pipeline, config: dict[str, Any]) -> None:
    people.add(email="ada@example.com")
    assert launch(pipeline, **config).success
    assert people.states() == {"synced": 1}
