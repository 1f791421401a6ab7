"""The kubelet's gRPC interfaces for plugins, as far as a driver needs them.

The .proto files follow the kubelet's public API (module k8s.io/kubelet, pkg/apis); fields that are never set or read
are left out. `./generate` makes the Python modules of them.
"""
