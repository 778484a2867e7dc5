"""The manifests: they parse, fit together, and leave MultiProxy the time it needs to drain."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from multiproxy.cli.main import build_parser
from multiproxy.config import Timeouts, load
from multiproxy.worker.endpoints import methods

FOLDER = Path(__file__).parent.parent.parent / "deploy/kubernetes"


@pytest.fixture(scope="module")
def objects():
    found = {}
    for path in FOLDER.rglob("*.yaml"):
        for item in yaml.safe_load_all(path.read_text()):
            if "kind" in item:
                found[item["kind"], item.get("metadata", {}).get("name", path.parent.name)] = item
    return found


@pytest.fixture(scope="module")
def pod(objects):
    return objects["Deployment", "multiproxy"]["spec"]["template"]["spec"]


def test_everything_in_the_folder_is_used_and_exists(objects):
    listed = objects["Kustomization", "kubernetes"]["resources"]
    others = {"kustomization.yaml", "config.yaml"}
    assert {path.name for path in FOLDER.glob("*.yaml")} == {*listed, *others}


def test_what_refers_to_the_deployment_finds_its_pods(objects):
    labels = objects["Deployment", "multiproxy"]["spec"]["template"]["metadata"]["labels"]
    assert objects["Deployment", "multiproxy"]["spec"]["selector"]["matchLabels"] == labels
    assert objects["Service", "multiproxy"]["spec"]["selector"] == labels
    for kind in ("PodDisruptionBudget", "ServiceMonitor"):
        assert objects[kind, "multiproxy"]["spec"]["selector"]["matchLabels"] == labels
    target = objects["HorizontalPodAutoscaler", "multiproxy"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "multiproxy")


def test_a_pod_has_time_to_leave_its_endpoints_and_to_drain(pod):
    (container,) = pod["containers"]
    (_, seconds) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + Timeouts().drain


def test_probes_ask_what_multiproxy_answers(pod):
    (container,) = pod["containers"]
    paths = {
        name: container[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "readiness", "liveness")
    }
    assert paths == {"startup": "/livez", "readiness": "/readyz", "liveness": "/livez"}
    assert all(methods(path.encode()).startswith(b"GET") for path in paths.values())


def test_the_command_line_is_one_that_serve_takes(pod):
    options = build_parser().parse_args(pod["containers"][0]["args"])
    assert (options.command, options.watch) == ("serve", True)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert Path(options.config).parent == Path(mounts["config"])


def test_the_configuration_is_valid_and_its_ports_are_the_pods(pod, monkeypatch):
    monkeypatch.setenv("CLIENT_KEY", "sk-for-the-test")
    config = load(FOLDER / "config.yaml")
    ports = {port["name"]: port["containerPort"] for port in pod["containers"][0]["ports"]}
    assert ports == {"api": config.listen.port, "dashboard": config.dashboard.listen.port}


def test_the_engines_are_found_by_the_name_of_their_headless_service(objects, monkeypatch):
    monkeypatch.setenv("CLIENT_KEY", "sk-for-the-test")
    service, engines = objects["Service", "llama"], objects["StatefulSet", "llama"]["spec"]
    (backend,) = load(FOLDER / "config.yaml").backends
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == engines["selector"]["matchLabels"]
    assert (backend.url.found_by, backend.url.host) == ("dns", service["metadata"]["name"])
    (container,) = engines["template"]["spec"]["containers"]
    assert container["ports"][0]["containerPort"] == backend.url.port


def test_what_an_engine_downloads_is_kept_in_its_volume(objects):
    spec = objects["StatefulSet", "llama"]["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    ((variable, mount),) = zip(container["env"], container["volumeMounts"], strict=True)
    assert (variable["name"], variable["value"]) == ("LLAMA_CACHE", mount["mountPath"])
    assert mount["name"] in [each["metadata"]["name"] for each in spec["volumeClaimTemplates"]]


def test_kustomize_builds_it():
    if not shutil.which("kubectl"):
        pytest.skip("there is no kubectl here")
    done = subprocess.run(
        ["kubectl", "kustomize", str(FOLDER)],
        capture_output=True, text=True, timeout=50, env=os.environ | {"KUBECONFIG": "/dev/null"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    (config,) = (item for item in built if item["kind"] == "ConfigMap")
    assert config["metadata"]["name"] == "multiproxy"
    assert config["data"]["config.yaml"] == (FOLDER / "config.yaml").read_text()
    assert {item["metadata"]["namespace"] for item in built} == {"multiproxy"}
