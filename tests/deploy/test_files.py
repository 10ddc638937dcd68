"""What lies below deploy/ fits its schema, and every command, variable and port in it exists in the code."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from django.core.management import get_commands, load_command_class

from tests.test_architecture import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.suffix in {".service", ".target", ".timer"})
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
# Read by others: the shell, Python, the images of the servers.
FOREIGN = re.compile(r"PATH|PYTHON[A-Z]+|POSTGRES_[A-Z_]+|PGDATA|BROKER_PASSWORD|RECSYS_IMAGE")


def last(instruction):
    """The value of the last such instruction of the Containerfile."""
    return re.findall(rf"^{instruction} (.*)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)[-1]


def documents():
    return [each for path in KUBERNETES for each in yaml.safe_load_all(path.read_text())]


def pods():
    """Name and pod specification of everything that runs."""
    for each in documents():
        spec = each.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            yield each["metadata"]["name"], spec["template"]["spec"]


def our_pods():
    return [(name, pod) for name, pod in pods() if pod["containers"][0]["image"].startswith("recsys")]


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_manifests_fit_the_schemas_of_kubernetes(path):
    found = list(yaml.safe_load_all(path.read_text()))
    assert found
    for each in found:
        for version in ("1.31", "1.37"):
            kubernetes_validate.validate(each, version, strict=True)


def test_a_manifest_with_a_mistake_would_be_refused():
    web = next(each for each in documents() if each["kind"] == "Deployment" and each["metadata"]["name"] == "web")
    web["spec"]["replica"] = web["spec"].pop("replicas")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(web, "1.37", strict=True)


def test_everything_that_is_needed_runs():
    assert {name for name, _ in pods()} == {"web", "worker", "beat", "migrate", "backup", "postgres", "broker"}
    assert set(COMPOSE["services"]) == {"web", "worker", "beat", "migrate", "postgres", "broker"}


def test_pods_mount_what_they_name_and_select_what_there_is():
    claims = {each["metadata"]["name"] for each in documents() if each["kind"] == "PersistentVolumeClaim"}
    maps = {each["metadata"]["name"] for each in documents() if each["kind"] == "ConfigMap"}
    for name, pod in our_pods():
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        (container,) = pod["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes), name
        asked = {volume["persistentVolumeClaim"]["claimName"] for volume in volumes.values() if len(volume) > 1
                 and "persistentVolumeClaim" in volume}  # fmt: skip
        assert asked <= claims
        assert {source["configMapRef"]["name"] for source in container["envFrom"]} <= maps
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in documents()
              if "template" in each.get("spec", {})]  # fmt: skip
    for service in (each for each in documents() if each["kind"] == "Service"):
        assert any(service["spec"]["selector"].items() <= known.items() for known in labels), service


def test_nothing_of_ours_runs_as_root_or_may_write_beside_its_volumes():
    for _, pod in our_pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == int(last("USER").split(":")[0])
        (container,) = pod["containers"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    for name in ("web", "worker", "beat", "migrate"):
        service = COMPOSE["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def commands():
    """Every command line of manage.py below deploy/, with where it stands."""
    for name, pod in our_pods():
        yield f"kubernetes {name}", pod["containers"][0]["args"]
    for name, service in COMPOSE["services"].items():
        if "entrypoint" not in service and name not in {"postgres", "broker"}:
            yield f"compose {name}", service["command"]
    yield "Containerfile", yaml.safe_load(last("CMD"))
    for unit in UNITS:
        for line in re.findall(r"^ExecStart=\S+ \S+/manage.py (.*)$", unit.read_text(), re.MULTILINE):
            yield unit.name, shlex.split(line)


@pytest.mark.parametrize(("where", "line"), list(commands()), ids=str)
def test_every_command_exists_and_takes_its_arguments(where, line, monkeypatch):
    # Named in the environment of those that need it, see the test of variables.
    monkeypatch.setenv("BACKUP_DIR", "backups")
    name, *arguments = line
    command = load_command_class(get_commands()[name], name)
    command.create_parser("manage.py", name).parse_args(arguments)


def test_no_command_was_overlooked():
    assert len(list(commands())) == 5 + 4 + 1 + 5


def variables():
    """Every environment variable that is set for our programs."""
    config = next(each for each in documents() if each["kind"] == "ConfigMap")
    yield from config["data"]
    for _, pod in our_pods():
        yield from (each["name"] for each in pod["containers"][0]["env"])
    for service in COMPOSE["services"].values():
        yield from service.get("environment", {})
    yield from re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text())
    yield from re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "systemd" / "recsys.env.example").read_text(), re.MULTILINE)
    for unit in UNITS:
        for line in re.findall(r"^Environment=(.*)$", unit.read_text(), re.MULTILINE):
            yield from (part.split("=")[0] for part in shlex.split(line))
    yield from re.findall(r"(?:^ENV|^ {4})\s*([A-Z_]+)=", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)


def test_whoever_backs_up_is_told_where():
    pod = dict(our_pods())["backup"]["containers"][0]
    folder = next(each["value"] for each in pod["env"] if each["name"] == "BACKUP_DIR")
    assert folder in [mount["mountPath"] for mount in pod["volumeMounts"]]
    kept = (DEPLOY / "systemd" / "recsys.env.example").read_text()
    assert f"BACKUP_DIR={folder}\n" in kept
    assert folder in (DEPLOY / "systemd" / "recsys-backup.service").read_text()


def test_every_variable_is_one_that_the_code_reads():
    code = "\n".join(path.read_text() for path in (ROOT / "recsys").rglob("*.py") if "benchmarks" not in path.parts)
    known = set(re.findall(r'"([A-Z][A-Z_]+)"', code))
    named = {name for name in variables() if not FOREIGN.fullmatch(name)}
    assert len(named) > 12
    assert {name.removesuffix("_FILE") for name in named} <= known


def test_ports_and_probes_are_those_of_the_web_server(client):
    config = next(each for each in documents() if each["kind"] == "ConfigMap")["data"]
    pod = dict(our_pods())["web"]["containers"][0]
    assert [port["containerPort"] for port in pod["ports"]] == [int(config["WEB_PORT"])] == [int(last("EXPOSE"))]
    assert COMPOSE["services"]["web"]["ports"] == [f"127.0.0.1:8000:{config['WEB_PORT']}"]
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = pod[kind]["httpGet"]
        (header,) = probe["httpHeaders"]
        assert header["value"] in config["ALLOWED_HOSTS"].split(",")
        assert probe["port"] == pod["ports"][0]["name"]


@pytest.mark.django_db
def test_probes_are_answered_by_plain_http_behind_tls(client, settings):
    settings.SECURE_SSL_REDIRECT = True
    for probe in (dict(our_pods())["web"]["containers"][0][kind]["httpGet"] for kind in ("livenessProbe",
                                                                                      "readinessProbe")):  # fmt: skip
        assert client.get(probe["path"], headers={"Host": "localhost"}).status_code == 200
    assert client.get("/", headers={"Host": "localhost"}).status_code == 301


def test_secrets_of_the_compose_file_are_made_and_fit_for_production(tmp_path):
    made = [sys.executable, DEPLOY / "make_secrets.py", tmp_path / "secrets"]
    subprocess.run(made, check=True, capture_output=True)
    files = {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()}
    assert {f"./secrets/{name}" for name in files} == {each["file"] for each in COMPOSE["secrets"].values()}
    from recsys.secrets_from import faults  # noqa: PLC0415

    environ = {"SECRET_KEY": files["secret_key"], "DATABASE_URL": files["database_url"],
               "CELERY_BROKER_URL": files["broker_url"], "METRICS_TOKEN": files["metrics_token"]}  # fmt: skip
    assert faults(environ, embedded=False) == []
    assert f":{files['postgres_password']}@postgres:5432/" in files["database_url"]
    assert f":{files['broker_password']}@broker:6379/" in files["broker_url"]
    subprocess.run(made, check=True, capture_output=True)
    assert {path.name: path.read_text().strip() for path in (tmp_path / "secrets").iterdir()} == files
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_what_the_compose_file_refers_to_is_defined_in_it():
    for name, service in COMPOSE["services"].items():
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"]), name
        assert set(service.get("depends_on", {})) <= set(COMPOSE["services"]), name
        mounted = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert mounted <= set(COMPOSE["volumes"]), name
    assert (DEPLOY / COMPOSE["services"]["web"]["build"]["context"] / "deploy" / "Containerfile").exists()


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_units_hold_before_systemd(unit, tmp_path):
    """Programs that are only there on the target are replaced by ones that are here."""
    for each in UNITS:
        text = re.sub(r"^(Exec\w+=)/srv/\S+/python \S+/manage.py", rf"\1{Path(sys.executable).resolve()}",
                      each.read_text(), flags=re.MULTILINE)  # fmt: skip
        (tmp_path / each.name).write_text(text)
    assert re.search(r"^\[Unit\]\nDescription=\S", unit.read_text().split("\n\n")[0].lstrip("#"), re.MULTILINE)
    program = shutil.which("systemd-analyze")
    if program is None:
        assert not re.search(r"^\S+\s+=", unit.read_text(), re.MULTILINE)
        return
    verified = subprocess.run(
        [program, "verify", "--man=no", tmp_path / unit.name], check=False, capture_output=True, text=True
    )
    assert (verified.returncode, verified.stderr) == (0, "")


def test_the_pipeline_uses_targets_that_exist():
    pipeline = yaml.safe_load((ROOT / ".github" / "workflows" / "pipeline.yaml").read_text())
    steps = [step for job in pipeline["jobs"].values() for step in job["steps"]]
    text = "\n".join(step.get("run", "") for step in steps)
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z]+)", text))
    assert {"check", "test", "load", "sbom", "setup"} == used
    assert used <= targets
    assert set(pipeline["jobs"]) == {"check", "test", "load", "audit", "image", "deploy"}
    for job in pipeline["jobs"].values():
        assert set(job.get("needs", [])) <= set(pipeline["jobs"])
