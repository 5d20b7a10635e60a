"""The manifests for containers are valid, fit the configurations they mount, and pin what tools/ pins."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped, unused-ignore]

from collector_kit import CONFIGS, ROOT

COMPOSE = CONFIGS / "compose.yaml"
KUBERNETES = CONFIGS / "kubernetes.yaml"
NO_SCHEMA = "the schemas are in the development environment: make setup"


def documents() -> list[dict[str, Any]]:
    """The resources of the Kubernetes manifest."""
    return list(yaml.safe_load_all(KUBERNETES.read_text(encoding="utf-8")))


def of_kind(kind: str) -> dict[str, dict[str, Any]]:
    """Resources of a kind by name."""
    return {one["metadata"]["name"]: one for one in documents() if one["kind"] == kind}


def compose() -> dict[str, Any]:
    """The services of the compose file."""
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    assert isinstance(services, dict)
    return services


def test_the_compose_file_follows_its_specification() -> None:
    """A validator of the Compose Specification accepts it, and refuses a wrong name in it."""
    spec = pytest.importorskip("compose_spec", reason=NO_SCHEMA)
    text = COMPOSE.read_text(encoding="utf-8")
    read = spec.PyCompose.from_yaml(text)
    read.validate()
    assert set(read.service_names()) == {"collector", "jaeger"}
    with pytest.raises(ValueError, match="restarts"):
        spec.PyCompose.from_yaml(text.replace("restart:", "restarts:", 1))


def test_the_compose_file_is_not_careless() -> None:
    """A linter finds no more than that images are named by version and not by digest."""
    pytest.importorskip("compose_lint", reason=NO_SCHEMA)
    done = subprocess.run(
        [sys.executable, "-m", "compose_lint", "check", str(COMPOSE)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert set(re.findall(r"\bCL-\d{4}\b", re.sub(r"--explain \S+", "", done.stdout))) <= {"CL-0019"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_kubernetes_manifest_follows_the_schemas() -> None:
    """Every resource fits the strict schema of a current and an older Kubernetes; a wrong field does not."""
    validator = pytest.importorskip("kubernetes_validate", reason=NO_SCHEMA)
    for version in ("1.31", "1.37"):
        for one in documents():
            validator.validate(one, version, strict=True)
    wrong = of_kind("Deployment")["collector"]
    wrong["spec"]["template"]["spec"]["containers"][0]["readyProbe"] = {}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, "1.37", strict=True)


def test_versions_are_those_of_the_pinned_builds() -> None:
    """The collector of the containers is the one that the tests run; nothing is called latest."""
    manifest = (ROOT / "tools" / "collector" / "builder.yaml").read_text(encoding="utf-8")
    release = re.search(r"^  version: (\S+)", manifest, re.MULTILINE)
    assert release
    images = {one["image"] for one in compose().values()}
    images |= {
        container["image"]
        for one in of_kind("Deployment").values()
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"otel/opentelemetry-collector-contrib:{release[1]}", "jaegertracing/jaeger:2.13.0"}


def test_what_is_mounted_is_there_and_named_in_the_command() -> None:
    """Each container reads the configuration of this folder that is mounted into it."""
    for name, service in compose().items():
        (mount,) = service["volumes"]
        source, target, mode = mount.split(":")
        assert (CONFIGS / source).exists()
        assert service["command"] == [f"--config={target}"]
        assert mode == "ro"
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
    kustomization = yaml.safe_load((CONFIGS / "kustomization.yaml").read_text(encoding="utf-8"))
    assert kustomization["resources"] == [KUBERNETES.name]
    made = {one["name"]: one["files"] for one in kustomization["configMapGenerator"]}
    for deployment in of_kind("Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        (volume,) = pod["volumes"]
        (file,) = made[volume["configMap"]["name"]]
        assert (CONFIGS / file).exists()
        (container,) = pod["containers"]
        assert container["args"] == [f"--config={container['volumeMounts'][0]['mountPath']}/{file}"]


def test_settings_and_ports_are_those_that_the_configurations_know() -> None:
    """What a manifest sets is read by the file, and what it opens is listened at."""
    for name, service in compose().items():
        check(f"{name}.yaml", service["environment"], [int(one.split(":")[2]) for one in service["ports"]])
    for name, deployment in of_kind("Deployment").items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        check(f"{name}.yaml", {one["name"]: one["value"] for one in container["env"]}, list(ports.values()))
        for port in of_kind("Service")[name]["spec"]["ports"]:
            assert ports[port["targetPort"]] == port["port"]
        for label, value in of_kind("Service")[name]["spec"]["selector"].items():
            assert deployment["spec"]["template"]["metadata"]["labels"][label] == value


def check(config: str, settings: dict[str, str], ports: list[int]) -> None:
    """Compare what is set and opened with the text of a configuration."""
    text = (CONFIGS / config).read_text(encoding="utf-8")
    for name in settings:
        assert f"${{env:{name}:-" in text
    for port in ports:
        assert re.search(rf":{port}\b|:-{port}\}}", text), port
