"""The probe of robust_controller."""

from __future__ import annotations

import hashlib

from aiconform.check import Access, NothingToLookAt, Settings, probe
from aiconform.checks.robust_controller.choice import ChosenOperator, chosen_operators
from aiconform.checks.robust_controller.controllers import controller, restart
from aiconform.checks.robust_controller.observations import Life, Loss, Made, Restart
from aiconform.checks.robust_controller.operator_steps import (
    arrives,
    change,
    child,
    children,
    created,
    left_after,
    offer,
    replaced,
)
from aiconform.checks.robust_controller.options import RobustControllerOptions
from aiconform.cluster import Forbidden
from aiconform.cluster.scratch import Scratch
from aiconform.cluster.space import INSTEAD
from aiconform.kit.pods import POD_ACCESS
from aiconform.platform import Platform
from aiconform.platform.operators import InstalledOperator, known


def _limit(settings: Settings) -> float:
    """The sum of all limits, and a minute for the rest. The webhooks get the patience twice: one is in every limit."""
    options = settings.of(RobustControllerOptions)
    return settings.patience + options.ready_seconds + 2 * options.child_seconds + 3 * options.restart_seconds + 60


def _access() -> list[Access]:
    """The permissions for the operators that the suite knows."""
    found = [
        Access("apiextensions.k8s.io", "customresourcedefinitions", ("get",), everywhere=True),
        Access("admissionregistration.k8s.io", "validatingwebhookconfigurations", ("list",), everywhere=True),
        Access("", "services", ("get",), everywhere=True),
        Access("apps", "deployments", ("list",), everywhere=True),
        Access("apps", "replicasets", ("list",), everywhere=True),
        Access("", "events", ("list",), everywhere=True),
        # The controller's Pods, which are restarted.
        Access("", "pods", ("list", "watch", "delete"), everywhere=True),
    ]
    for operator in known():
        for group, resources in operator.makes.items():
            verbs = ("create", "get", "list", "watch", "patch", "delete")
            found += [Access(group, each, verbs, everywhere=each in INSTEAD) for each in resources]
        found += [Access(kind.group, kind.resource, ("get", "list", "watch", "delete")) for kind in operator.children]
    return found


async def _require_called(scratch: Scratch, found: InstalledOperator) -> None:
    """Raises NothingToLookAt if the operator or its webhooks are for other Namespaces than the run's."""
    if found.watched and await scratch.namespace() not in found.watched:
        raise NothingToLookAt(f"nothing to look at: {found.operator.title}: {found.limited}")
    webhook = found.webhook
    if webhook is None or not webhook.namespaces:
        return
    try:
        namespace = await scratch.cluster.get("v1", "Namespace", await scratch.namespace())
    except Forbidden:
        return
    if wanted := webhook.passes_by(namespace["metadata"].get("labels") or {}):
        raise NothingToLookAt(
            f"nothing to look at: webhooks of {webhook.configuration} are called only for Namespaces with {wanted}, "
            "and the run's has other labels: give it these (--namespace-labels), or name another operator "
            "(--set robust_controller.operator=NAME)"
        )


@probe(limit=_limit, targets=chosen_operators, access=(*POD_ACCESS, *_access()))
async def life(platform: Platform, scratch: Scratch, settings: Settings, target: ChosenOperator) -> Life:
    options, found, cluster = settings.of(RobustControllerOptions), target.installed, platform.cluster
    operator, webhook = found.operator, found.webhook
    scratch.tell(f"{operator.title} {found.version}, {target.why}")
    controllers = [await controller(cluster, deployment, seconds=settings.patience) for deployment in found.deployments]
    # Short, because operators append to it, and unique to this run.
    unique = hashlib.sha256(scratch.cluster_name("").encode()).hexdigest()[:8]
    name = f"{operator.name}-{unique}"
    objects = operator.objects(name=name, image=platform.images["shell"], version=found.version)
    await _require_called(scratch, found)
    prepared = {obj["kind"]: await scratch.create(obj) for obj in objects.prepare}
    refusal = await offer(scratch, objects.invalid, seconds=settings.patience)

    obj, problem = await created(scratch, objects.valid)
    arrival, grown, loss, restarted, spared, left = None, [], None, None, "", None
    if obj is not None:
        scratch.tell(f"waiting for {obj['kind']} {name}: {operator.ready}")
        arrival = await arrives(cluster, obj, operator.ready, objects.children, seconds=options.ready_seconds)
        grown = await children(cluster, obj, objects.children)
        losable = [each for each in grown if each["kind"] == objects.children[0].kind]
        if arrival.reached and losable:
            scratch.tell(f"deleted {losable[0]['kind']} {losable[0]['metadata']['name']}, waiting for a new one")
            new = await replaced(cluster, obj, losable[0], seconds=options.child_seconds)
            loss = Loss(lost=child(losable[0]), new=new)
    if not options.restart:
        spared = "restart=false"
    elif obj is None or loss is None or loss.new is None or not found.deployments:
        spared = "it did not work before"
    else:
        advice = "the role of `aiconform rbac` allows it; --set robust_controller.restart=false leaves it out"
        after = []
        for deployment, before in zip(found.deployments, controllers, strict=True):
            scratch.tell(f"deleted the Pods of {before.namespace}/{before.name}, waiting for new ones")
            after.append(await restart(cluster, deployment, before, seconds=options.restart_seconds, advice=advice))
        back = all(now.ready >= before.ready > 0 for now, before in zip(after, controllers, strict=True))
        again, changed = None, None
        if back:
            again = await offer(scratch, objects.invalid, seconds=options.restart_seconds)
            scratch.tell(f"changed {operator.change.of or obj['kind']}, waiting for {operator.change.ready}")
            subject = prepared[operator.change.of] if operator.change.of else obj
            changed = await change(
                cluster, obj, subject, operator.change, objects.children, seconds=options.restart_seconds
            )
        restarted = Restart(controllers=after, back=back, refusal=again, changed=changed)
    if obj is not None:
        grown = await children(cluster, obj, objects.children)
        scratch.tell(f"deleted {obj['kind']} {name}, waiting until it and its children are deleted")
        left = await left_after(cluster, obj, grown, seconds=options.child_seconds)
    return Life(
        operator=operator.title,
        version=found.version,
        why=target.why,
        crds=list(operator.crds),
        unestablished=list(found.unestablished),
        webhook=operator.webhook,
        configuration=webhook.configuration if webhook else "",
        failure_policy=webhook.failure_policy if webhook else "",
        namesakes=list(found.namesakes),
        controllers=controllers,
        refusal=refusal,
        made=Made(created=obj is not None, problem=problem, arrival=arrival),
        children=[child(each) for each in grown],
        loss=loss,
        restart=restarted,
        spared=spared,
        left=left,
        seconds={
            "ready": options.ready_seconds,
            "child": options.child_seconds,
            "restart": options.restart_seconds,
        },
    )
