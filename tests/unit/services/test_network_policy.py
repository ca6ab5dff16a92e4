"""The outer list: rules for the network around the process."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mayfly.services.network_policy import kubernetes, nftables, parse_addresses, reached
from mayfly.services.register import Use

USES = [
    Use(what="keys", host="kms.cloud.example"),
    Use(what="sources.shop", host="db.example"),
    Use(what="spool", host="kms.cloud.example"),
    Use(what="alerts.ops", host="10.0.0.7"),
    Use(what="alerts.post", host="nowhere.example"),
]
KNOWN = {"kms.cloud.example": ["192.0.2.1", "2001:db8::1"], "db.example": ["192.0.2.2"]}
ADDRESSES = st.ip_addresses().map(str)


def test_kubernetes_allows_each_address_and_names_what_it_is_not_told() -> None:
    """A NetworkPolicy of egress alone, by the fields of its kind; hosts beside what needs them."""
    text = kubernetes(reached(USES, KNOWN), "my_shop", ())
    document = YAML(typ="safe").load(text)
    assert set(document) == {"apiVersion", "kind", "metadata", "spec"}
    assert (document["apiVersion"], document["kind"]) == ("networking.k8s.io/v1", "NetworkPolicy")
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", document["metadata"]["name"])
    spec = document["spec"]
    assert set(spec) == {"podSelector", "policyTypes", "egress"}
    assert spec["policyTypes"] == ["Egress"]
    dns, *rules = spec["egress"]
    assert {p["port"] for p in dns["ports"]} == {53}
    assert set(dns["to"][0]) == {"namespaceSelector", "podSelector"}
    blocks = [peer["ipBlock"]["cidr"] for rule in rules for peer in rule["to"]]
    assert blocks == ["10.0.0.7/32", "192.0.2.2/32", "192.0.2.1/32", "2001:db8::1/128"]
    assert {port["protocol"] for rule in rules for port in rule["ports"]} == {"TCP"}
    assert "# kms.cloud.example: keys, spool" in text.replace("    #", "#")
    assert "refused: nowhere.example" in text
    assert "it knows addresses, not names" in text


def test_nftables_drops_what_is_in_no_set() -> None:
    """Named sets, a chain that drops, and a table that replaces itself."""
    text = nftables(reached(USES, KNOWN), ["192.0.2.53"])
    assert text.startswith("#!/usr/sbin/nft -f\n")
    assert "type filter hook output priority filter; policy drop;" in text
    sets = dict(re.findall(r"set (\w+) \{\n\s+type \w+\n\s+elements = \{ (.*?) \}", text))
    assert sets == {
        "hosts4": "10.0.0.7, 192.0.2.1, 192.0.2.2",
        "hosts6": "2001:db8::1",
        "resolvers4": "192.0.2.53",
    }
    code = [line for line in text.splitlines() if not line.startswith("#")]
    assert code[:3] == ["table inet mayfly", "delete table inet mayfly", "table inet mayfly {"]
    opened = "".join(code).count("{")
    assert opened == "".join(code).count("}")
    named = set(re.findall(r"@(\w+)", text))
    assert named == set(re.findall(r"set (\w+) \{", text))
    assert "refused: nowhere.example" in text


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]{1,8}\.example", fullmatch=True),
        st.lists(ADDRESSES, min_size=1, unique=True),
        min_size=1,
    )
)
def test_both_lists_have_the_same_addresses_and_no_other(known: dict[str, list[str]]) -> None:
    """Whatever the hosts are: none is forgotten, none made up."""
    hosts = reached([Use(what="keys", host=host) for host in known], known)
    wanted = {address for found in known.values() for address in found}
    rules = YAML(typ="safe").load(kubernetes(hosts, "shop", ()))["spec"]["egress"][1:]
    blocks = {p["ipBlock"]["cidr"].partition("/")[0] for r in rules for p in r["to"]}
    text = nftables(hosts, ())
    elements = ", ".join(re.findall(r"elements = \{ (.*?) \}", text)).split(", ")
    assert blocks == set(elements) == wanted


def test_addresses_are_read_from_a_file() -> None:
    """As a hosts file the other way round; a wrong line is named by its number alone."""
    found = parse_addresses(
        "# ours\nA.example 192.0.2.1 # now\n\na.example ::1\nresolver 10.0.0.2\n"
    )
    assert found == {"a.example": ["192.0.2.1", "::1"], "resolver": ["10.0.0.2"]}
    for wrong in ("a.example", "a.example nowhere", "a b c"):
        with pytest.raises(ValueError, match=r"^2$"):
            parse_addresses(f"\n{wrong}\n")
