"""The OpenAPI document says what is true: it validates, everybody may read it, and no request breaks the promise.

Schemathesis sends what the document allows and what it forbids to every operation, within this process and with
the real database, and holds each answer against the document.
"""

import json
from threading import Semaphore
from typing import Any

import pytest
import schemathesis
import yaml
from django.core.management import call_command
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from config.api.documents import document
from config.wsgi import application
from notifications import sending
from tests.api.conftest import NewKey
from tests.factories import make_job, make_rule, make_run, make_schedule
from triggers.models import Kind

# Where a filter needs another beside it, or a text has a grammar of its own, no schema can say what is valid.
# What a trigger's body may say depends on its kind, and a job that is to follow must be there.
BEYOND_SCHEMAS = (
    *("/api/runs", "/api/runs/cancel", "/api/runs/retry", "/api/runs/priority", "/api/jobs/{slug}/runs"),
    *("/api/campaigns", "/schedule/preview"),
    *("/api/jobs/{slug}/triggers", "/triggers/{trigger}", "/available-upstream", "/slots", "/slots/run"),
    *("/api/stats/triggers", "/api/calendars", "/calendars/{calendar}", "/api/jobs", "/api/jobs/{slug}"),
    *("/api/sources", "/api/sources/{source}"),
    # What an address may be depends on the channel's kind; a rule's channel and job must be there.
    *("/api/channels", "/channels/{channel}", "/api/notification-rules", "/notification-rules/{rule}"),
)
EXAMPLES = 10  # of each operation: about 30 seconds on two cores
# A job may refuse what the document allows (422), and the state of a job or run may forbid it (409).
REFUSALS = ["2xx", "401", "403", "404", "409", "422"]


def test_the_document_validates_without_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert yaml.safe_load(capsys.readouterr().out)["openapi"] == "3.1.0"


def test_everybody_may_read_it_as_json_or_yaml(client: Client) -> None:
    plain = client.get("/api/schema")
    assert plain["Content-Type"] == "application/json"
    assert json.loads(plain.content)["paths"].keys() == document()["paths"].keys()
    assert "yaml" in client.get("/api/schema", headers={"Accept": "application/yaml"})["Content-Type"]


@pytest.mark.parametrize("path", ["/api/docs", "/api/redoc"])
def test_its_readers_bring_no_script_of_others_and_none_inline(client: Client, path: str) -> None:
    page = client.get(path)
    text = page.content.decode()
    assert page.status_code == 200
    assert "https://" not in text
    assert "<script>" not in text
    assert "<style" not in text
    policy = page["Content-Security-Policy"]
    assert "style-src 'self' 'unsafe-inline'" in policy
    assert "script-src 'self';" in policy + ";"
    assert "'unsafe-inline'" not in client.get("/api/errors")["Content-Security-Policy"]


def test_every_operation_is_described_in_a_sentence() -> None:
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            assert len(operation["summary"]) > 10, (method, path)
            assert "default" in operation["responses"]


def test_every_operation_that_heeds_an_if_match_says_so() -> None:
    said = {
        f"{method.upper()} {path}"
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
        for parameter in operation.get("parameters", ())
        if parameter["name"] == "If-Match"
    }
    one = "/api/jobs/{slug}/triggers/{trigger}"
    for path in ("/api/sources/{source}", "/api/calendars/{calendar}", "/api/channels/{channel}", one):
        assert said >= {f"PATCH {path}", f"DELETE {path}"}
    assert said >= {
        f"POST {one}/pause",
        f"POST {one}/resume",
        f"POST {one}/rotate-secret",
        f"PATCH {one}/enable",
    }
    assert not [each for each in said if each.startswith("GET ")]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_no_request_breaks_what_the_document_says(new_key: NewKey, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nobody carries the run out: a wait for its end would last as long as was asked for.
    monkeypatch.setattr("runs.api.waiting._seats", Semaphore(0))
    run = make_run(make_schedule(make_job(slug="report", schema={"additionalProperties": True})).job)
    trigger = run.job.triggers.get(kind=Kind.SCHEDULE)
    rule = make_rule("failed")
    message = sending.send_test(rule.channel, by="ada")
    there = {"slug": "report", "run": run.pk, "trigger": trigger.pk}
    there |= {"channel": rule.channel_id, "rule": rule.pk, "message": message.pk}
    named = {"job": "report", "job_id": "report", "cron": trigger.cron, "timezone": "Europe/Berlin"}
    config = SchemathesisConfig.from_dict(
        {
            "checks": {"positive_data_acceptance": {"expected-statuses": REFUSALS}},
            # U+0000 is refused in every text, which no schema can say; test_problems sends it.
            "generation": {"allow-x00": False},
        }
    )
    schema = schemathesis.openapi.from_wsgi("/api/schema", application, config=config)
    found: Any
    for found in schema.get_all_operations():
        _fuzz(found.ok(), new_key().text, there=there, named=named)


def _fuzz(operation: Any, key: str, *, there: dict[str, Any], named: dict[str, str]) -> None:
    """Sends cases of one operation; what is valid is sent for things that are really there as well."""
    beyond = [positive_data_acceptance] if operation.path.endswith(BEYOND_SCHEMAS) else []
    valid = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    broken = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
    for_real = valid.map(lambda case: _aimed(case, there=there, named=named))

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    @given(case=st.one_of(for_real, broken, valid))
    def send(case: Any) -> None:
        case.call_and_validate(headers={"Authorization": f"Bearer {key}"}, excluded_checks=beyond)

    send()


def _aimed(case: Any, *, there: dict[str, Any], named: dict[str, str]) -> Any:
    for part, known in ((case.path_parameters, there), (case.query, named), (case.body, named)):
        if isinstance(part, dict):
            part.update({name: value for name, value in known.items() if name in part})
    return case
