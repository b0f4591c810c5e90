"""Public and non-public addresses in every form."""

from __future__ import annotations

import pytest

from serving.common.ip_addresses import is_public

FORMS = ("{}", "::ffff:{}", "64:ff9b::{}", "2002:{hex}::1")


@pytest.mark.parametrize(("inner", "public"), [("10.0.0.1", False), ("169.254.169.254", False), ("168.63.129.16", False), ("192.0.0.192", False), ("100.100.100.200", False), ("93.184.216.34", True)])
@pytest.mark.parametrize("form", FORMS)
def test_an_ipv4_address_within_an_ipv6_one_decides(form: str, inner: str, public: bool) -> None:
    a, b, c, d = map(int, inner.split("."))
    assert is_public(form.format(inner, hex=f"{a:02x}{b:02x}:{c:02x}{d:02x}")) is public


@pytest.mark.parametrize(
    "address",
    ["fec0::1", "feff::1", "3fff::1", "192.88.99.1", "64:ff9b:1::808:808", "2001:0:a00:1::f7f7:f7f7", "::7f00:1", "100::1",
     "::8.8.8.8", "::ffff:0:8.8.8.8", "fd00:ec2::254", "fd20:ce::254", "fe80::a9fe:a9fe", "192.0.0.1", "161.26.0.10", "166.9.0.1"],
)
def test_addresses_outside_the_public_internet_are_refused(address: str) -> None:
    assert not is_public(address)
