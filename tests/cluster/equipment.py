"""The real cluster of the test equipment, servers on the host that its pods reach, and projects that run there."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jeyn import Workspace
from jeyn.project_file import ArgoSettings
from jeyn.settings import Settings
from jeyn.workflows.argo.manifests import rights
from jeyn.workflows.argo.service import ENDED, Argo
from jeyn.workflows.argo.sidecar import components_map
from tests.postgres_server import PostgresServer, running_postgres
from tests.s3_server import S3Server, serve
from tests.workflows.projects import ROOT, Project

HOST, NETWORK = "10.244.0.1", "10.244.0.0/24"  # this machine and the pods, as they see each other
NAMESPACE = f"jeyn-test-{os.getpid()}"  # several sessions may share a cluster that is kept
IMAGE, EXTRAS = "localhost/jeyn:test", "postgres,sklearn"
DAPRD = "localhost/daprd:test"
BUCKET = "jeyn"
# What the image is made of; the lock file too, since equal ids are promised for equal environments (SEMANTICS 4).
SOURCES = ("pyproject.toml", "constraints.txt", "jeyn", "sdk", "stores", "workflows", "deploy", "components")
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Cluster:
    """A running cluster with the image of this checkout; everything of the tests is in one namespace."""

    folder: Path  # of the equipment
    kubeconfig: Path
    server: str
    namespace: str = NAMESPACE
    image: str = IMAGE

    def settings(self, **more: Any) -> ArgoSettings:
        return ArgoSettings(**({"server": self.server, "namespace": self.namespace, "image": self.image} | more))

    def argo(self) -> Argo:
        return Argo(self.settings())

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What `kubectl` prints; it must succeed."""
        done = subprocess.run(
            ["kubectl", *arguments],
            env=os.environ | {"KUBECONFIG": str(self.kubeconfig)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(listed))

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        """A Kubernetes Secret; its values are on no command line."""
        metadata = {"name": name, "namespace": self.namespace}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": dict(values)})

    @contextmanager
    def server_with_tokens(self) -> Iterator[str]:
        """The address of a second Argo server, where everyone has the rights of their own token."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        program = _call(self.folder / "unpack").split()[-1] + "/argo"
        command = [program, "server", "--auth-mode=client", "--secure=false", "--namespace=argo", f"--port={port}"]
        with subprocess.Popen(
            [*command, f"--kubeconfig={self.kubeconfig}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            try:
                wait_until(lambda: _listens(port), 60)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()

    def workflow(self, name: str, seconds: float = 60) -> dict[str, Any]:
        """A stored Workflow once it has ended, as Argo's own page shows it."""
        found: dict[str, Any] = {}

        def ended() -> bool:
            found.update(self.argo().get(name))
            return found["status"].get("phase") in ENDED

        wait_until(ended, seconds)
        return found


@contextmanager
def running_cluster(folder: Path, *, keep: bool) -> Iterator[Cluster]:
    """Starts the equipment and makes the image; ends it again unless it is to be kept."""
    try:
        said = _start(folder)
        told = dict(re.findall(r"(\w+)=(\S+)", said.splitlines()[-1]))
        cluster = Cluster(folder, Path(told["KUBECONFIG"]), told["ARGO_SERVER"])
        _make_image(cluster)
        _make_namespace(cluster)
        try:
            yield cluster
        finally:
            cluster.kubectl("delete", "namespace", cluster.namespace, "--wait=false")
    finally:
        if not keep:
            _call(folder / "down")


@dataclass(frozen=True)
class Servers:
    """PostgreSQL and S3 on this host, bound to the address that pods know it by."""

    postgres: PostgresServer
    s3: S3Server


@contextmanager
def running_servers() -> Iterator[Servers]:
    with running_postgres(HOST, NETWORK) as postgres, serve(HOST) as s3:
        s3.make_bucket(BUCKET)
        yield Servers(postgres, s3)


@dataclass(frozen=True)
class Places:
    """A catalog, a payload store and a data root of their own, as environment variables, and the Secret with them."""

    environment: dict[str, str]
    secret: str
    argo: dict[str, Any] = field(default_factory=dict)


@contextmanager
def new_places(cluster: Cluster, servers: Servers) -> Iterator[Places]:
    number = next(_NUMBERS)
    with servers.postgres.new_database() as catalog:
        environment = {
            "JEYN_CATALOG": catalog,
            "JEYN_PAYLOADS": f"s3://{BUCKET}/{number}/payloads",
            "JEYN_DATA": f"s3://{BUCKET}/{number}/data",
            **servers.s3.environment,
            # Arithmetic is a part of the environment that equal ids are promised for.
            **{name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")},
        }
        secret = f"places-{os.getpid()}-{number}"
        cluster.secret(secret, environment)
        argo = {
            "server": cluster.server,
            "namespace": cluster.namespace,
            "image": cluster.image,
            "secret": secret,
            "daprd_image": DAPRD,
            "pod_ttl": 30,
        }
        try:
            yield Places(environment, secret, argo)
        finally:
            cluster.kubectl("delete", "secret", secret, "-n", cluster.namespace)


class RemoteProject(Project):
    """A project whose places pods can reach, and whose pipelines run as they do for a person: `jeyn run --on argo`."""

    def __init__(self, folder: Path, cluster: Cluster, places: Places, **argo: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.cluster, self.places = folder.resolve(), cluster, places
        self.configure(**argo)
        # The home is this machine's own; what pods share is elsewhere.
        self.workspace = Workspace(Settings.load(self.folder, **self._locations()))

    def configure(self, **argo: Any) -> None:
        """Write jeyn.yaml, with other settings of `argo:` where given."""
        told = {"name": "tried", "argo": {**self.places.argo, **argo}}
        (self.folder / "jeyn.yaml").write_text(json.dumps(told))

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return super().start(*arguments, **(self.places.environment | environment))

    def jeyn(self, *arguments: str, seconds: float = 600, **environment: str) -> tuple[int, dict[str, Any]]:
        """Exit code and the document of `jeyn ARGUMENTS --json`."""
        process = self.start(*arguments, "--json", **environment)
        out, err = process.communicate(timeout=seconds)
        assert out, err
        return process.returncode, json.loads(out)

    def on_argo(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        return self.jeyn("run", "pipeline.py", "--on", "argo", *arguments)

    def _locations(self) -> dict[str, str]:
        names = ("catalog", "payloads", "data")
        return {name: self.places.environment[f"JEYN_{name.upper()}"] for name in names}


def wait_until(true: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something on the cluster; fails when it takes longer."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"nothing came within {seconds} s"
        time.sleep(0.5)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _start(folder: Path, most: int = 4) -> str:
    """What `up` says once it has succeeded twice in a row.

    A kubelet that was quicker than containerd has ended, and a node that an earlier session left looks ready; where
    all is well the second call does nothing.
    """
    succeeded = ""
    for left in reversed(range(most)):
        try:
            said = _call(folder / "up")
        except RuntimeError:
            if not left:
                raise
            succeeded = ""
            continue
        if succeeded:
            return said
        succeeded = said
    raise RuntimeError(f"{folder}/up did not succeed twice in a row, {most} times tried")


def _make_image(cluster: Cluster) -> None:
    """The image is made again only when something in it changed."""
    digest = hashlib.sha256()
    for source in SOURCES:
        found = ROOT / source
        files = sorted(found.rglob("*")) if found.is_dir() else [found]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    stamp = cluster.kubeconfig.parent / "image-of-tests"
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    _call(cluster.folder / "jeyn-image", str(ROOT), cluster.image, EXTRAS)
    stamp.write_text(digest.hexdigest())


def _make_namespace(cluster: Cluster) -> None:
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": cluster.namespace}})
    cluster.apply(*rights(cluster.settings()), components_map(cluster.namespace, {}))


def _call(command: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(command), *arguments],
        env=os.environ | {"UV_CONSTRAINT": str(ROOT / "constraints.txt")},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout, done.stderr, file=sys.stderr)
        raise RuntimeError(f"{command.name} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout
