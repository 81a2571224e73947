"""How much room topics take, asked by Kafka's own tool: librdkafka has no call for it."""

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

from contracts.errors import RetryableError
from deploy.java import find_java


def topic_bytes(jars_dir: Path, bootstrap: str) -> dict[str, int]:
    """Return the bytes that each topic takes on disk, replicas included."""
    command = [str(find_java(os.environ)), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", f"{jars_dir / 'kafka'}/*"]
    command += ["org.apache.kafka.tools.LogDirsCommand", "--bootstrap-server", bootstrap, "--describe"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (subprocess.SubprocessError, OSError) as error:
        raise RetryableError(f"Kafka at {bootstrap} did not tell the sizes of its topics: {error}") from error
    answer = json.loads(next(line for line in told.splitlines() if line.startswith("{")))
    sizes: Counter[str] = Counter()
    for broker in answer["brokers"]:
        for directory in broker["logDirs"]:
            for partition in directory["partitions"]:
                sizes[partition["partition"].rpartition("-")[0]] += partition["size"]
    return dict(sizes)
