import json
import logging

import pytest

from boonart.observability import JsonFormatter, Metrics, continued, span, trace_headers, trace_id


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("boonart.search", logging.WARNING, "f.py", 1, "a %s\nline", ("long",), None)
    line = JsonFormatter("boonart-gateway").format(record)
    assert "\n" not in line
    found = json.loads(line)
    assert found["message"] == "a long\nline"
    assert (found["level"], found["logger"], found["service"]) == ("warning", "boonart.search", "boonart-gateway")
    assert found["time"].endswith("Z")
    assert "trace_id" not in found


def test_an_exception_is_part_of_the_line() -> None:
    try:
        raise KeyError("why")
    except KeyError as error:
        record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "failed", (), (KeyError, error, error.__traceback__))
    assert "KeyError: 'why'" in json.loads(JsonFormatter("s").format(record))["exception"]


def test_a_trace_goes_on_and_marks_the_log() -> None:
    pytest.importorskip("opentelemetry")
    caller = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    with continued(caller, "Rerank"), span("score", candidates=100):
        found = trace_id()
        passed_on = trace_headers()
        line = JsonFormatter("s").format(logging.LogRecord("x", logging.INFO, "f.py", 1, "m", (), None))
    assert found == "0af7651916cd43dd8448eb211c80319c"
    assert found in passed_on["traceparent"]
    assert json.loads(line)["trace_id"] == found
    assert trace_id() == ""


@pytest.mark.parametrize("header", ["", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_broken_trace_header_does_no_harm(header: str) -> None:
    with continued({"traceparent": header}, "Rerank"):
        trace_headers()


def test_requests_are_counted_by_result_also_when_they_fail() -> None:
    metrics = Metrics()
    with metrics.request("Search") as set_code:
        set_code("ok")
    with pytest.raises(ValueError, match="why"), metrics.request("Search"):
        raise ValueError("why")
    text = metrics.text()
    assert 'boonart_requests_total{code="ok",method="Search"} 1.0' in text
    assert 'boonart_requests_total{code="cancelled",method="Search"} 1.0' in text
    assert "boonart_requests_running 0.0" in text


def test_answers_and_gauges() -> None:
    metrics = Metrics()
    metrics.answer({"encode": 20.0, "rerank": 40.0}, {"rerank": "too slow"})
    depth = [3.0]
    metrics.watch("queue_depth", "What waits.", lambda: depth[0])
    depth[0] = 7.0
    text = metrics.text()
    assert 'boonart_stage_seconds_sum{stage="encode"} 0.02' in text
    assert 'boonart_degraded_total{stage="rerank"} 1.0' in text
    assert "boonart_queue_depth 7.0" in text


def test_two_processes_worth_of_metrics_do_not_meet() -> None:
    one, other = Metrics(), Metrics()
    one.answer({}, ["rerank"])
    assert 'boonart_degraded_total{stage="rerank"}' not in other.text()
