"""What a user meets before any cluster answers: each error names the thing and the way out, and exits with 2."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aiconform.cli import COMMANDS, main
from aiconform.platform.images import Images


def kubeconfig(folder: Path, server: str = "https://127.0.0.1:1", **user: object) -> Path:
    path = folder / "kubeconfig"
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True}}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "here",
            }
        )
    )
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


@pytest.mark.parametrize("command", ["run", "inspect", "cleanup"])
def test_without_a_kubeconfig_both_ways_to_a_cluster_are_named(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    result = call(command)
    assert result.exit_code == 2
    assert "--kubeconfig" in result.stderr
    assert "--lab" in result.stderr
    assert not result.stdout


def test_an_unknown_context_is_answered_with_those_there_are(tmp_path: Path) -> None:
    result = call("run", "--kubeconfig", kubeconfig(tmp_path), "--context", "elsewhere")
    assert result.exit_code == 2
    assert "'elsewhere'" in result.stderr
    assert "here" in result.stderr


@pytest.mark.parametrize("content", ["", "{", "- a list", "current-context: x\ncontexts: [{nme: x}]", "contexts: 5"])
def test_a_broken_kubeconfig_is_named(content: str, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    path.write_text(content)
    result = call("run", "--kubeconfig", path)
    assert result.exit_code == 2
    assert str(path) in result.stderr
    assert "Traceback" not in result.output


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = call("run", "--kubeconfig", kubeconfig(tmp_path, f"https://127.0.0.1:{port}", token="t"))
    assert result.exit_code == 2
    assert f"https://127.0.0.1:{port}" in result.stderr
    assert "cannot be reached" in result.stderr


def test_an_exec_plugin_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": ["-c", "import sys; print('your login has expired', file=sys.stderr); sys.exit(7)"],
        "interactiveMode": "Never",
    }
    result = call("run", "--kubeconfig", kubeconfig(tmp_path, exec=plugin))
    assert result.exit_code == 2
    assert "your login has expired" in result.stderr


def test_an_exec_plugin_that_is_not_installed_is_named(tmp_path: Path) -> None:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-login", "interactiveMode": "Never"}
    result = call("inspect", "--kubeconfig", kubeconfig(tmp_path, exec=plugin))
    assert result.exit_code == 2
    assert "no-such-login" in result.stderr


def test_a_version_outside_the_standard_is_answered_with_those_inside(tmp_path: Path) -> None:
    result = call("run", "--kubeconfig", kubeconfig(tmp_path), "--kubernetes", "v1.20")
    assert result.exit_code == 2
    assert "v1.37" in result.stderr


def test_an_unknown_requirement_is_answered_with_the_nearest(tmp_path: Path) -> None:
    result = call("run", "dra_suport", "--kubeconfig", kubeconfig(tmp_path), "--kubernetes", "v1.37")
    assert result.exit_code == 2
    assert "dra_support" in result.stderr


def test_a_requirement_that_is_not_on_the_list_is_refused(tmp_path: Path) -> None:
    result = call("run", "workload_sandboxing", "--kubeconfig", kubeconfig(tmp_path), "--kubernetes", "v1.33")
    assert result.exit_code == 2
    assert "not on the list of v1.33" in result.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    result = call("judge", tmp_path)
    assert result.exit_code == 2
    assert "run.json" in result.stderr


def test_the_images_are_rewritten_to_a_mirror() -> None:
    (entry,) = json.loads(call("images", "--image-registry", "mirror.example/k8s/", "-o", "json").stdout)
    assert entry["used"] == "mirror.example/k8s/" + entry["image"].partition("/")[2]
    named = call("images", "--image-registry", "mirror.example/k8s/", "--image-digests").stdout.split()
    assert named == [f"{name}@{entry['digest']}" for name in (entry["image"], entry["used"])]


@pytest.mark.parametrize(
    ("public", "mirrored"),
    [
        ("registry.example/acme/check:1.0", "acme/check:1.0"),
        ("localhost:5000/check@sha256:00", "check@sha256:00"),
        ("acme/check:1.0", "acme/check:1.0"),
        ("busybox:1.36", "busybox:1.36"),
        ("busybox", "busybox"),
    ],
)
def test_a_mirror_has_an_image_under_its_path(public: str, mirrored: str) -> None:
    assert Images("mirror.example/all").mirrored(public) == f"mirror.example/all/{mirrored}"
    assert Images().mirrored(public) == public
    assert Images("[fd00::1]:5000/all").mirrored(public) == f"[fd00::1]:5000/all/{mirrored}"
    assert Images("mirror.example").mirrored(f"[fd00::1]:5000/{mirrored}") == f"mirror.example/{mirrored}"


def test_the_role_names_what_the_checks_do() -> None:
    role = yaml.safe_load(call("rbac", "secure_accelerator_access").stdout)
    rules = {(rule["apiGroups"][0], rule["resources"][0]): rule["verbs"] for rule in role["rules"]}
    assert {"create", "delete", "list", "watch"} <= set(rules["", "pods"])
    assert rules["", "nodes"] == ["list"]
    assert "*" not in str(role)


def test_the_roles_of_a_guest_say_what_checks_cannot_do_so() -> None:
    said = call("rbac", "gang_scheduling", "--namespace", "team", "--pull-secret", "other/pull").stdout
    role, cluster = yaml.safe_load_all(said)
    assert (role["kind"], role["metadata"]["namespace"], cluster["kind"]) == ("Role", "team", "ClusterRole")
    assert "# gang_scheduling cannot create, delete clusterqueues: name a queue" in said
    rules = [
        (rule.get("resourceNames"), rule["verbs"]) for rule in cluster["rules"] if rule["resources"] == ["secrets"]
    ]
    assert rules == [(["pull"], ["get"])]
    assert json.loads(call("rbac", "ai_inference", "--namespace", "team", "-o", "json").stdout)["beyond"] == {}


@pytest.mark.parametrize("arguments", [("lab", "up"), ("lab", "fault", "--list"), ("run", "--lab")])
def test_a_machine_that_can_have_no_lab_is_told_what_works(
    arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    result = call(*arguments)
    assert result.exit_code == 2
    assert "the lab needs Linux" in result.stderr
    assert "--kubeconfig" in result.stderr


def test_the_help_imports_no_command() -> None:
    code = (
        "import sys\nfrom click.testing import CliRunner\nfrom aiconform.cli import main\n"
        "result = CliRunner().invoke(main, ['--help'])\nassert result.exit_code == 0, result.output\n"
        "heavy = {'pydantic', 'kubernetes', 'rich', 'jinja2', 'yaml', 'grpc', 'aiohttp'} & set(sys.modules)\n"
        "assert not heavy, heavy\nprint(result.output)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_each_command_explains_itself(command: str) -> None:
    result = call(command, "--help")
    assert result.exit_code == 0, result.output
    assert "Usage:" in result.stdout


def test_an_interrupt_is_not_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 means "not conformant" and nothing else."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("aiconform.spec.load_standard", interrupted)
    done = CliRunner().invoke(main, ["spec", "list"])
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
