"""The shipped configurations are well-formed, fit each other, and fit the environment lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

FOLDER = Path(__file__).parents[1] / "collector-config"


def read(name: str) -> dict[str, Any]:
    """One configuration as data."""
    found = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def environment() -> dict[str, str]:
    """The lines of app.env that are no comment."""
    lines = (FOLDER / "app.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


@pytest.mark.parametrize("name", ["collector.yaml", "jaeger.yaml"])
def test_a_pipeline_names_only_what_is_defined_and_all_of_it(name: str) -> None:
    """Every component in a pipeline is defined, and nothing is defined that no pipeline uses."""
    config = read(name)
    pipelines = config["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        used = {item for pipeline in pipelines for item in pipeline[kind]}
        assert used == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])


def test_the_memory_limiter_comes_first() -> None:
    """The limiter protects the collector only where it is the first processor."""
    assert read("collector.yaml")["service"]["pipelines"]["traces"]["processors"][0] == "memory_limiter"


def test_the_collector_sends_where_jaeger_listens() -> None:
    """The exporter's address is that of Jaeger's grpc receiver, and the two listen at different ports."""
    collector, jaeger = read("collector.yaml"), read("jaeger.yaml")
    listens = jaeger["receivers"]["otlp"]["protocols"]
    assert collector["exporters"]["otlp_grpc/jaeger"]["endpoint"] == listens["grpc"]["endpoint"]
    ports = [
        protocol["endpoint"]
        for config in (collector, jaeger)
        for protocol in config["receivers"]["otlp"]["protocols"].values()
    ]
    assert len(ports) == len(set(ports)) == 4


def test_jaeger_writes_the_store_that_it_reads() -> None:
    """Exporter and query name the same store, and it is defined."""
    jaeger = read("jaeger.yaml")
    store = jaeger["exporters"]["jaeger_storage_exporter"]["trace_storage"]
    assert jaeger["extensions"]["jaeger_query"]["storage"]["traces"] == store
    assert store in jaeger["extensions"]["jaeger_storage"]["backends"]


def test_the_program_sends_where_the_collector_listens() -> None:
    """Endpoint and protocol of app.env meet the collector's http receiver, with a timeout in seconds."""
    lines = environment()
    http = read("collector.yaml")["receivers"]["otlp"]["protocols"]["http"]["endpoint"]
    assert lines["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"http://{http}"
    assert lines["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert 0 < float(lines["OTEL_EXPORTER_OTLP_TIMEOUT"]) <= 60
    assert "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT" not in lines


def test_nothing_listens_beyond_this_machine() -> None:
    """The examples open no port to the network."""
    for name in ("collector.yaml", "jaeger.yaml"):
        assert "0.0.0.0" not in (FOLDER / name).read_text(encoding="utf-8")
