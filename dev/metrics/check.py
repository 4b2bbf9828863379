"""Reads OpenMetrics text from standard input with the parser of the reference client library."""

import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

WANTED = {
    "tidegate_requests",
    "tidegate_service_restarts",
    "tidegate_limit_hits",
    "tidegate_mqtt_publishes_received",
    "tidegate_mqtt_store_commits",
}

families = {family.name: family for family in text_string_to_metric_families(sys.stdin.read())}
missing = WANTED - families.keys()
if missing:
    sys.exit(f"missing families: {sorted(missing)}")
samples = sum(len(family.samples) for family in families.values())
print(f"{len(families)} families, {samples} samples")
