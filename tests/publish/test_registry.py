"""The registry: other tools read the same contract as we do."""

from __future__ import annotations

import yaml

from loomtriage.contract.catalogue import METRICS
from loomtriage.contract.keys import PIVOTS, SCOPE_KEYS
from loomtriage.contract.reasons import REASONS
from loomtriage.contract.spans import SPANS
from loomtriage.publish.registry import registry_file

GROUPS = yaml.safe_load(registry_file())["groups"]
DEFINED = {
    one["id"]: one
    for group in GROUPS
    if group["type"] == "attribute_group"
    for one in group["attributes"]
}


def test_every_reference_is_defined():
    """No metric or span refers to an attribute that the registry does not define."""
    used = {one["ref"] for group in GROUPS for one in group.get("attributes", ()) if "ref" in one}
    assert used
    assert used <= set(DEFINED)


def test_it_holds_the_whole_contract():
    """Keys, reasons, metrics and spans are all there, once each."""
    assert {key.attribute for key in (*SCOPE_KEYS, *PIVOTS)} <= set(DEFINED)
    members = [one["value"] for one in DEFINED["reason"]["type"]["members"]]
    assert members == [reason.name for reason in REASONS]
    names = [group["metric_name"] for group in GROUPS if group["type"] == "metric"]
    assert names == [metric.name for metric in METRICS if metric.name != "up"]
    assert len([group for group in GROUPS if group["type"] == "span"]) == len(SPANS)


def test_every_group_is_complete():
    """Ids are unique, and each group says what it is."""
    ids = [group["id"] for group in GROUPS]
    assert len(set(ids)) == len(ids)
    assert all(group["brief"] and group["type"] for group in GROUPS)
