"""The kubelet's gRPC interfaces for plugins, as far as a driver needs them.

Field numbers, types and service names are those of the module k8s.io/kubelet (pkg/apis/pluginregistration/v1,
dra/v1, dra/v1beta1, deviceplugin/v1beta1). Message names are ours: only numbers and types go over the wire. Fields
that we never read or set are left out, as protobuf allows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

REGISTRATION = "pluginregistration.Registration"
# What a plugin lists as supported versions -> the service the kubelet then calls.
DRA_SERVICES = {
    "v1.DRAPlugin": "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin",
    "v1beta1.DRAPlugin": "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin",
}
DEVICE_PLUGIN_REGISTRATION = "v1beta1.Registration"
DEVICE_PLUGIN = "v1beta1.DevicePlugin"
DEVICE_PLUGIN_VERSION = "v1beta1"

_PACKAGE = "aiconform.lab"
# message -> "number name type" of each field; [] repeats, {} maps string to the type.
_FIELDS: dict[str, tuple[str, ...]] = {
    "Nothing": (),
    # pluginregistration
    "PluginInfo": ("1 type string", "2 name string", "3 endpoint string", "4 supported_versions string[]"),
    "RegistrationStatus": ("1 plugin_registered bool", "2 error string"),
    # DRA
    "Claim": ("1 namespace string", "2 uid string", "3 name string"),
    "Claims": ("1 claims Claim[]",),
    "PreparedDevice": (
        "1 request_names string[]",
        "2 pool_name string",
        "3 device_name string",
        "4 cdi_device_ids string[]",
    ),
    "Prepared": ("1 devices PreparedDevice[]", "2 error string"),
    "PreparedClaims": ("1 claims Prepared{}",),
    "Unprepared": ("1 error string",),
    "UnpreparedClaims": ("1 claims Unprepared{}",),
    # device plugin
    "Options": ("1 pre_start_required bool", "2 get_preferred_allocation_available bool"),
    "Register": ("1 version string", "2 endpoint string", "3 resource_name string", "4 options Options"),
    "PluginDevice": ("1 id string", "2 health string"),
    "PluginDevices": ("1 devices PluginDevice[]",),
    "PreferContainer": ("1 available string[]", "2 must_include string[]", "3 size int32"),
    "Prefer": ("1 containers PreferContainer[]",),
    "PreferredContainer": ("1 ids string[]",),
    "Preferred": ("1 containers PreferredContainer[]",),
    "AllocateContainer": ("1 ids string[]",),
    "Allocate": ("1 containers AllocateContainer[]",),
    "DeviceSpec": ("1 container_path string", "2 host_path string", "3 permissions string"),
    "AllocatedContainer": ("1 envs string{}", "3 devices DeviceSpec[]"),
    "Allocated": ("1 containers AllocatedContainer[]",),
}
_SCALARS = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
}


def _add_field(message: Any, number: int, name: str, kind: str) -> None:
    field = message.field.add(name=name, number=number)
    base = kind.removesuffix("[]").removesuffix("{}")
    field.label = field.LABEL_REPEATED if base != kind else field.LABEL_OPTIONAL
    if kind.endswith("{}"):
        # A map is a repeated message of key and value with a name that protobuf prescribes.
        entry_name = "".join(part.capitalize() for part in name.split("_")) + "Entry"
        entry = message.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        _add_field(entry, 1, "key", "string")
        _add_field(entry, 2, "value", base)
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{message.name}.{entry_name}"
    elif base in _SCALARS:
        field.type = _SCALARS[base]
    else:
        field.type = field.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{base}"


@cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="aiconform/lab.proto", package=_PACKAGE, syntax="proto3")
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for field in fields:
            number, name, kind = field.split()
            _add_field(message, int(number), name, kind)
    # A pool of our own: nothing else in the process can clash with these names.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _FIELDS}


def new(message: str, **fields: Any) -> Any:
    """A message of the table above."""
    return _classes()[message](**fields)


# method of a service -> (request, response, whether the response is a stream)
_DRA_METHODS = {
    "NodePrepareResources": ("Claims", "PreparedClaims", False),
    "NodeUnprepareResources": ("Claims", "UnpreparedClaims", False),
}
_METHODS: dict[str, dict[str, tuple[str, str, bool]]] = {
    REGISTRATION: {
        "GetInfo": ("Nothing", "PluginInfo", False),
        "NotifyRegistrationStatus": ("RegistrationStatus", "Nothing", False),
    },
    **dict.fromkeys(DRA_SERVICES.values(), _DRA_METHODS),
    DEVICE_PLUGIN_REGISTRATION: {"Register": ("Register", "Nothing", False)},
    DEVICE_PLUGIN: {
        "GetDevicePluginOptions": ("Nothing", "Options", False),
        "ListAndWatch": ("Nothing", "PluginDevices", True),
        "GetPreferredAllocation": ("Prefer", "Preferred", False),
        "Allocate": ("Allocate", "Allocated", False),
        "PreStartContainer": ("Nothing", "Nothing", False),
    },
}


def serve(service: str, **methods: Callable[..., Any]) -> Any:
    """A handler for `grpc.aio.Server.add_generic_rpc_handlers`: the service's methods by name."""
    handlers = {}
    for name, method in methods.items():
        request, response, stream = _METHODS[service][name]
        kind = grpc.unary_stream_rpc_method_handler if stream else grpc.unary_unary_rpc_method_handler
        handlers[name] = kind(
            method,
            request_deserializer=_classes()[request].FromString,
            response_serializer=_classes()[response].SerializeToString,
        )
    return grpc.method_handlers_generic_handler(service, handlers)


def call(channel: Any, service: str, method: str) -> Callable[..., Awaitable[Any]]:
    """A method of a service at the other end of a `grpc.aio` channel."""
    request, response, stream = _METHODS[service][method]
    kind = channel.unary_stream if stream else channel.unary_unary
    bound: Callable[..., Awaitable[Any]] = kind(
        f"/{service}/{method}",
        request_serializer=_classes()[request].SerializeToString,
        response_deserializer=_classes()[response].FromString,
    )
    return bound
