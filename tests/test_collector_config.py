"""The shipped configurations are well-formed, fit each other, and fit the environment lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

FOLDER = Path(__file__).parents[1] / "collector-config"


def read(name: str) -> dict[str, Any]:
    """One configuration as data, with the defaults of its settings."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    found = yaml.safe_load(re.sub(r"\$\{env:\w+(?::-([^}]*))?\}", r"\1", text))
    assert isinstance(found, dict)
    return found


def environment() -> dict[str, str]:
    """The lines of app.env that are no comment."""
    lines = (FOLDER / "app.env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


ALL = sorted(
    path.name
    for path in FOLDER.glob("*.yaml")
    if path.name not in ("compose.yaml", "kubernetes.yaml", "kustomization.yaml")
)
JAEGERS = ("jaeger.yaml", "all-in-one.yaml")


@pytest.mark.parametrize("name", ALL)
def test_a_pipeline_names_only_what_is_defined_and_all_of_it(name: str) -> None:
    """Every component in a pipeline is defined, and nothing is defined that no pipeline uses."""
    config = read(name)
    pipelines = config["service"]["pipelines"].values()
    connectors = set(config.get("connectors", ()))
    for kind in ("receivers", "processors", "exporters"):
        used = {item for pipeline in pipelines for item in pipeline[kind]}
        assert used - connectors == set(config[kind])
    assert set(config["service"]["extensions"]) == set(config["extensions"])


@pytest.mark.parametrize("name", [name for name in ALL if name not in JAEGERS])
def test_the_memory_limiter_comes_first(name: str) -> None:
    """The limiter protects the collector only where it is the first processor of every pipeline."""
    for pipeline in read(name)["service"]["pipelines"].values():
        assert pipeline["processors"][0] == "memory_limiter"


@pytest.mark.parametrize("name", ALL)
def test_it_says_first_what_it_is_for_what_runs_it_and_what_to_set(name: str) -> None:
    """The comment at the top names the build, and every setting that the file reads."""
    text = (FOLDER / name).read_text(encoding="utf-8")
    top = text[: text.index("\n\n")]
    assert all(line.startswith("#") for line in top.splitlines())
    assert "# Runs on: the build of `make " in top
    read_there = set(re.findall(r"\$\{env:(\w+)", text))
    assert read_there
    assert {name for name in read_there if name not in top} == set()


@pytest.mark.parametrize("name", ["gateway.yaml", "agent.yaml"])
def test_a_queue_on_disk_has_no_batch_in_memory_before_it(name: str) -> None:
    """What was acknowledged is on disk already, and is tried for ever."""
    config = read(name)
    assert "batch" not in config["processors"]
    (exporter,) = config["exporters"].values()
    assert exporter["sending_queue"]["storage"] == "file_storage"
    assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s"


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
    for name in ALL:
        assert "0.0.0.0:" not in str(read(name))
