"""A collector that speaks OTLP over gRPC, as small as it gets: it counts span names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class GrpcCollector(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Listens at a port until closed."""

    def __init__(self, port: int) -> None:
        self.names: list[str] = []
        self._server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers((self,))
        assert self._server.add_insecure_port(f"127.0.0.1:{port}") == port
        self._server.start()

    def service(self, handler_call_details: Any) -> Any:
        """Answer every Export; only traces are read."""
        traces = "TraceService" in handler_call_details.method

        def export(request: bytes, context: Any) -> bytes:
            if traces:
                self._keep(ExportTraceServiceRequest.FromString(request))
            answer: bytes = ExportTraceServiceResponse().SerializeToString()
            return answer

        return grpc.unary_unary_rpc_method_handler(export)

    def _keep(self, request: Any) -> None:
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                self.names.extend(span.name for span in scope.spans)

    def close(self) -> None:
        """Stop listening."""
        self._server.stop(0).wait()
