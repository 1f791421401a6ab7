"""The kinds of values that are redacted wherever they stand: tokens, addresses, account numbers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from aiconform.certify.redaction.tokens import TOKEN


@dataclass(frozen=True)
class Pattern:
    """One kind of value. The groups of `regex` whose names begin with `value` match it; `accept` decides on the match.

    `placeholder` makes the nth replacement.
    """

    name: str
    regex: re.Pattern[str]
    placeholder: Callable[[int], str]
    accept: Callable[[str], bool] = lambda text: True


def _v4(number: int) -> str:
    """From 192.0.2.0/24, 198.51.100.0/24 and 203.0.113.0/24, reserved for documentation; then from 240.0.0.0/4."""
    if number < 3 * 254:
        return f"{('192.0.2', '198.51.100', '203.0.113')[number // 254]}.{number % 254 + 1}"
    return str(ipaddress.IPv4Address((240 << 24) + number))


def is_address(text: str) -> bool:
    """Whether the text is an IP address that identifies a host."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast)


PATTERNS = (
    Pattern("tokens", TOKEN, lambda n: f"redacted-token-{n + 1}"),
    # Names that clouds give their machines. They hold an address, an account's project or the name of a cluster.
    Pattern(
        "instances",
        re.compile(
            r"(?<![\w.-])(?P<value>(?:fargate-)?ip-[0-9]{1,3}(?:-[0-9]{1,3}){3}(?:\.[a-z0-9-]+)*(?:\.internal)?"
            r"|ec2-[0-9]{1,3}(?:-[0-9]{1,3}){3}(?:\.[a-z0-9-]+)+"
            r"|i-[0-9a-f]{8}(?:[0-9a-f]{9})?"
            r"|(?:gke|gk3)-[a-z0-9-]+-[0-9a-f]{8}-[a-z0-9]{4}"
            r"|aks-[a-z0-9]+-[0-9]{8}-vmss[0-9a-z]{6}"
            r"|oke-[a-z0-9]+-[a-z0-9]+-[a-z0-9]+-[0-9]+"
            r"|[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:c\.[a-z0-9-]+\.internal|internal\.cloudapp\.net|oraclevcn\.com))(?![\w-])"
        ),
        lambda n: f"redacted-instance-{n + 1}",
    ),
    Pattern(
        "mail addresses",
        re.compile(r"(?P<value>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"),
        lambda n: f"person-{n + 1}@redacted.invalid",
        lambda text: not text.startswith("redacted-"),  # the password of a URL, which is gone already
    ),
    Pattern(
        "account numbers",
        re.compile(
            r"arn:[\w-]+:[\w-]*:[\w-]*:(?P<value>[0-9]{12})|(?<![\w.-])(?P<value2>[0-9]{12})(?=\.dkr\.ecr\.)"
            r"|(?i:subscriptions)/(?P<value3>[0-9a-fA-F-]{36})|(?<![\w/])projects/(?P<value4>[a-z][a-z0-9-]{4,28}[a-z0-9])(?=/)"
            r"|\b(?:ocid1\.(?:tenancy|compartment)\.[\w]*\.[\w-]*\.)(?P<value5>\w{20,})"
        ),
        lambda n: f"{n + 1:012d}",
    ),
    Pattern(
        "addresses",
        re.compile(r"(?<![\w.])(?P<value>(?:[0-9]{1,3}\.){3}[0-9]{1,3})(?![\w]|\.[0-9])"),
        _v4,
        is_address,
    ),
    Pattern(
        "addresses",
        re.compile(
            r"(?<![\w:.])(?P<value>(?:[0-9a-fA-F]{1,4}:){1,7}:|(?:[0-9a-fA-F]{0,4}:){2,8}[0-9a-fA-F]{1,4})"
            r"(?!\w|:[\w:]|\.[0-9])"
        ),
        lambda n: f"2001:db8::{n + 1:x}",
        is_address,
    ),
    Pattern(
        "mac addresses",
        # Of six octets, or eight, or the twenty of InfiniBand.
        re.compile(
            r"(?<![\w:])(?P<value>(?:[0-9a-fA-F]{2}:){5}(?:(?:[0-9a-fA-F]{2}:){14}|(?:[0-9a-fA-F]{2}:){2})?[0-9a-fA-F]{2})(?![\w:])"
        ),
        lambda n: f"02:00:00:00:{n // 256:02x}:{n % 256:02x}",
    ),
)
