"""demo.chain: a real file with real gaps goes through ingest, clean and report."""

import pytest

from demo import chain
from demo.models import Batch
from tests.jobs.contexts import RecordingContext

pytestmark = pytest.mark.django_db


def test_the_file_is_read_as_it_is() -> None:
    read = chain.ingest(RecordingContext())
    assert read["rows"] == 344
    assert Batch.objects.get(pk=read["batch"]).rows[3]["body_mass_g"] == "NA"


def test_rows_that_lack_something_are_dropped_and_named() -> None:
    context = RecordingContext()
    cleaned = chain.clean(context, batch=chain.ingest(context)["batch"])
    assert (cleaned["rows"], cleaned["dropped"]) == (333, 11)
    assert "line 5 dropped: bill_length_mm is 'NA', expected a number" in context.text
    assert "line 10 dropped: sex is 'NA', expected female or male" in context.text


def test_the_report_sums_up_by_species() -> None:
    context = RecordingContext()
    cleaned = chain.clean(context, batch=chain.ingest(context)["batch"])
    told = chain.report(context, batch=cleaned["batch"])
    assert told["penguins"] == 333
    assert told["species"]["Gentoo"] == {"penguins": 119, "mean_mass_g": 5092, "mean_flipper_mm": 217.2}
    assert list(told["species"]) == ["Adelie", "Chinstrap", "Gentoo"]
    assert chain.report(context) == told


def test_what_is_not_there_is_said_by_name() -> None:
    context = RecordingContext()
    with pytest.raises(chain.NothingToRead, match=r"no file 'walrus\.csv'; expected one of penguins\.csv"):
        chain.ingest(context, source="walrus.csv")
    with pytest.raises(chain.NothingToRead, match="no clean batch"):
        chain.report(context)
    raw = chain.ingest(context)["batch"]
    with pytest.raises(chain.NothingToRead, match=f"no clean batch {raw}"):
        chain.report(context, batch=raw)


def test_alert_and_audit_say_which_run() -> None:
    context = RecordingContext()
    assert chain.alert(context, job="ingest", run=7, message="no file") == {
        "alerted": "ingest #7 failed: no file"
    }
    assert chain.audit(context, job="ingest", run=7, status="failed") == {"audited": "ingest #7 failed"}
    assert [level for level, _ in context.lines] == ["error", "info"]
