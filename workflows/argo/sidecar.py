"""Daprd as a native sidecar: an init container that Kubernetes (1.29 on) keeps until the operation is over.

No injector, webhook or control plane is needed, and the pod completes; https://docs.dapr.io/reference/arguments-annotations-overview/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hera.workflows import models as m

if TYPE_CHECKING:
    from jeyn.project_file import ArgoSettings

COMPONENTS = "jeyn-components"  # the ConfigMap of component files
FOLDER = "/components"
_PUBLIC_PORT = 3501  # only health is answered there; the API listens on the loopback


def daprd(settings: ArgoSettings) -> m.UserContainer:
    """The model class, since Hera's own `UserContainer` drops `restart_policy`."""
    return m.UserContainer(
        name="daprd",
        image=settings.daprd_image,
        image_pull_policy=settings.image_pull_policy,
        restart_policy="Always",
        command=["/daprd"],
        args=[
            "--app-id=jeyn",
            f"--resources-path={FOLDER}",
            "--dapr-listen-addresses=127.0.0.1",
            "--dapr-http-port=3500",
            "--dapr-grpc-port=50001",
            f"--dapr-public-port={_PUBLIC_PORT}",
        ],
        startup_probe=m.Probe(
            http_get=m.HTTPGetAction(path="/v1.0/healthz", port=_PUBLIC_PORT), period_seconds=1, failure_threshold=60
        ),
        resources=m.ResourceRequirements(requests={"cpu": m.Quantity("50m"), "memory": m.Quantity("64Mi")}),
        volume_mounts=[m.VolumeMount(name="components", mount_path=FOLDER, read_only=True)],
    )


def components_volume() -> m.Volume:
    return m.Volume(name="components", config_map=m.ConfigMapVolumeSource(name=COMPONENTS))


def components_map(namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    """The ConfigMap that daprd reads; without files in it daprd starts, and offers nothing yet."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": COMPONENTS, "namespace": namespace, "labels": labels},
        "data": {},
    }
