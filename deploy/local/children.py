"""The children of a stack: broker, S3 server and the three stages, with what each needs and is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from deploy.local import broker, s3
from deploy.local.cache import Cache
from deploy.local.config import Config, StackError
from deploy.local.keeper import START_TIMEOUT_S, Spec
from deploy.local.ports import LOOPBACK, PortClaims
from deploy.local.probes import gateway_ready, metrics_ready
from deploy.local.process import Program
from streams.brokers import SECURITY_VARIABLES
from streams.provision import ProvisionError, provision

KAFKA_PORT: Final = 9092
GATEWAY_PORT: Final = 4000
GATEWAY_METRICS_PORT: Final = 4001
S3_PORT: Final = 7070
#: Longer than a sinks worker takes over its last files, its last commit and its leave, which the lake may draw out.
_STAGE_GRACE_S: Final = 10.0
#: A stream worker first reads its state, some 100,000 keys a second: in this time more than memory holds. It ends by
#: itself where the broker is away, as no other stage does where what it needs is.
_RESTORE_TIMEOUT_S: Final = 3_600.0


@dataclass(frozen=True)
class Layout:
    """A stack on this machine: what it is, its ports by name, and the folder of downloads."""

    config: Config
    ports: Mapping[str, int]
    cache: Cache

    @property
    def broker(self) -> broker.BrokerPlace:
        """The broker's place."""
        return broker.BrokerPlace(
            folder=self.config.data_dir / "kafka",
            port=self.ports["kafka"],
            controller_port=self.ports["kafka-controller"],
        )

    @property
    def s3(self) -> s3.S3Place:
        """The S3 server's place."""
        folder = self.config.data_dir / "s3"
        return s3.S3Place(folder=folder, port=self.ports["s3"], keys=s3.keys_of(folder))

    @property
    def s3_endpoint(self) -> str:
        """Endpoint for clients of the lake; empty for a folder and for AWS."""
        return self.s3.endpoint if self.config.runs_s3 else self.config.outer_s3_endpoint or ""

    def log(self, name: str) -> Path:
        """File that takes a child's output."""
        return self.config.data_dir / "logs" / f"{name}.log"


def choose_ports(config: Config, remembered: Mapping[str, int], claims: PortClaims) -> dict[str, int]:
    """Return a free port for each server of the stack: the one it had, else its default, else any."""
    wanted = {
        "kafka": KAFKA_PORT,
        "kafka-controller": 0,
        "gateway": GATEWAY_PORT,
        "gateway-metrics": GATEWAY_METRICS_PORT,
        "supervisor-metrics": 0,
        **{f"{name}-metrics": 0 for name in _instances("streams", config.workers)},
        **{f"{name}-metrics": 0 for name in _instances("sinks", config.sink_workers)},
    }
    if config.runs_s3:
        wanted["s3"] = S3_PORT
    ports: dict[str, int] = {}
    if config.gateway_port:  # 0 asks for any free one, as leaving it out does
        if not claims.claim(config.gateway_port):
            raise StackError(
                f"port {config.gateway_port} on {LOOPBACK} is taken by another program; "
                f"name another one with --gateway-port, or leave it out and a free one is chosen"
            )
        ports["gateway"] = config.gateway_port
    for name, default in wanted.items():
        if name not in ports:
            # A port that this stack remembers for another of its servers is left to that one.
            others = {port for other, port in remembered.items() if other != name}
            candidates = [port for port in (remembered.get(name, 0), default) if port]
            ports[name] = claims.choose(candidates, others)
    return ports


def specs(layout: Layout, environ: Mapping[str, str]) -> list[Spec]:
    """Return the children in the order of their start."""
    config = layout.config
    store = ["s3"] if config.runs_s3 else []
    return [
        _kafka(layout),
        *([_s3(layout)] if config.runs_s3 else []),
        _gateway(layout, environ),
        *(
            _stage(layout, environ, stage="streams", name=name, needs=["kafka"])
            for name in _instances("streams", config.workers)
        ),
        *(
            _stage(layout, environ, stage="sinks", name=name, needs=["kafka", *store])
            for name in _instances("sinks", config.sink_workers)
        ),
    ]


def _instances(stage: str, count: int) -> Iterator[str]:
    return (f"{stage}-{number}" for number in range(count))


def _kafka(layout: Layout) -> Spec:
    place, config = layout.broker, layout.config

    async def make_topics() -> None:
        facts, client_table = config.facts, config.client_table == "on"
        try:
            await provision(
                place.bootstrap_servers, facts.partitions, facts.shards, replication=1, client_table=client_table
            )
        except ProvisionError as error:
            raise StackError(str(error)) from error

    return Spec(
        stage="kafka",
        program=broker.program(place, layout.cache, layout.log("kafka")),
        prepare=partial(asyncio.to_thread, broker.prepare, place, layout.cache),
        ready=partial(broker.is_ready, place.brokers),
        settle=make_topics,
        grace_s=broker.STOP_GRACE_S,
    )


def _s3(layout: Layout) -> Spec:
    place = layout.s3
    return Spec(
        stage="s3",
        program=s3.program(place, layout.cache, layout.log("s3")),
        ready=partial(s3.is_ready, place.endpoint),
        settle=partial(asyncio.to_thread, s3.make_bucket, place.endpoint, place.keys, layout.config.bucket),
        grace_s=s3.STOP_GRACE_S,
    )


def _gateway(layout: Layout, environ: Mapping[str, str]) -> Spec:
    port = layout.ports["gateway"]
    return Spec(
        stage="gateway",
        program=_python(layout, environ, "gateway", "gateway-0"),
        ready=partial(gateway_ready, port),
        needs=["kafka"],
        # Without a broker it answers 503, which is better than no answer.
        needs_always=False,
    )


def _stage(layout: Layout, environ: Mapping[str, str], *, stage: str, name: str, needs: list[str]) -> Spec:
    return Spec(
        stage=stage,
        program=_python(layout, environ, stage, name),
        ready=partial(metrics_ready, layout.ports[f"{name}-metrics"], stage),
        needs=needs,
        start_timeout_s=_RESTORE_TIMEOUT_S if stage == "streams" else START_TIMEOUT_S,
        grace_s=_STAGE_GRACE_S,
    )


def _python(layout: Layout, environ: Mapping[str, str], stage: str, name: str) -> Program:
    # -P: a folder named `streams` where the user stands must not be taken for ours.
    command = [sys.executable, "-P", "-m", stage]
    return Program(
        name=name, command=command, log=layout.log(name), environ={**environ, **variables(layout, stage, name)}
    )


def variables(layout: Layout, stage: str, name: str) -> dict[str, str]:
    """Return the variables that tell a stage about the stack; what else the user has set reaches it unchanged."""
    config, facts, ports = layout.config, layout.config.facts, layout.ports
    common = {
        "KAFKA_BOOTSTRAP_SERVERS": layout.broker.bootstrap_servers,
        # This broker asks for nothing; what the user has set is for another cluster.
        **dict.fromkeys(SECURITY_VARIABLES, ""),
        "WATCHTIME_GROUP": config.group,
        "STREAMS_PARTITIONS": str(facts.partitions),
        "STREAMS_SHARDS": str(facts.shards),
        "STREAMS_REPLICATION": "1",
        "STREAMS_DAY": facts.day,
        "STREAMS_CLIENT_TABLE": config.client_table,
    }
    if stage == "gateway":
        return common | {
            "GATEWAY_HOST": LOOPBACK,
            "GATEWAY_PORT": str(ports["gateway"]),
            "GATEWAY_METRICS_HOST": LOOPBACK,
            "GATEWAY_METRICS_PORT": str(ports["gateway-metrics"]),
            "GATEWAY_LAKE": config.facts.lake,
            "GATEWAY_S3_ENDPOINT": layout.s3_endpoint,
            **_lake_keys(layout),
        }
    upper = stage.upper()
    own = {
        f"{upper}_INSTANCE": name,
        f"{upper}_METRICS_HOST": LOOPBACK,
        f"{upper}_METRICS_PORT": str(ports[f"{name}-metrics"]),
    }
    return common | own | (_lake_variables(layout) if stage == "sinks" else {})


def _lake_variables(layout: Layout) -> dict[str, str]:
    config = layout.config
    told = {
        "SINKS_LAKE": config.facts.lake,
        "SINKS_S3_ENDPOINT": layout.s3_endpoint,
        "SINKS_FORMAT": config.facts.format,
        "SINKS_REFRESH_S": f"{config.refresh_s:g}",
    }
    return told | _lake_keys(layout)


def _lake_keys(layout: Layout) -> dict[str, str]:
    """Return the credentials of the stack's own S3 server; those of another store are the user's variables."""
    if not layout.config.runs_s3:
        return {}
    keys = layout.s3.keys
    return {
        "AWS_ACCESS_KEY_ID": keys.access_key,
        "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        "AWS_DEFAULT_REGION": s3.REGION,
    }
