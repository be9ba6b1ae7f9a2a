"""Where a page sends answers: an address that browsers take in `fetch` and in a Content-Security-Policy."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

import idna

_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*", re.IGNORECASE | re.ASCII)
LOCAL = ("localhost", "127.0.0.1")
"""Hosts that a page served over HTTPS may send to without HTTPS."""


def is_address(text: str) -> bool:
    """Whether a text is an address of the web."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # brackets that do not match, a port that is no number
        return False
    known = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    return known and not re.search(r"[\s<>\"\\]", text)


def policy_source(address: str) -> str:
    """Scheme, host and port of an address, as a policy names them; empty for no address."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def host_shown(address: str) -> str:
    """Host and port of an address as people read them: mäuse.example."""
    parts = urlsplit(address)
    try:
        return re.sub(r"xn--[a-z0-9.-]+", lambda found: idna.decode(found[0]), parts.netloc)
    except idna.IDNAError:
        return parts.netloc


def sendable(address: str) -> str:
    """An address (see `is_address`) as a page can send to it, its host in ASCII; raises ValueError with what
    is wrong and the way out."""
    parts = urlsplit(address)
    if "@" in parts.netloc:
        raise ValueError("it holds a user or a password, which browsers do not send; take them out")
    if ":" in (parts.hostname or ""):
        raise ValueError(
            "its host is an IPv6 address, which the page's policy cannot name; use 127.0.0.1 or a name"
        )
    try:
        ascii_host = _in_ascii(parts)
    except idna.IDNAError as error:
        raise ValueError(f"its host is no name of the web ({error})") from error
    if not _HOST.fullmatch(ascii_host):
        raise ValueError("its host may have letters, digits, hyphens and dots between them only")
    if re.fullmatch(r"\d+|0x[0-9a-f]*", ascii_host.lower().split(".")[-1]):
        _check_ipv4(ascii_host)
    return address if parts.hostname.isascii() else _with_host(parts, ascii_host)


def _in_ascii(parts: SplitResult) -> str:
    name = parts.hostname or ""
    return name if name.isascii() else idna.encode(name, uts46=True).decode()


def _check_ipv4(host: str) -> None:
    try:
        ipaddress.IPv4Address(host)
    except ValueError as error:
        raise ValueError("its host is not four numbers from 0 to 255, such as 127.0.0.1") from error


def _with_host(parts: SplitResult, host: str) -> str:
    port = "" if parts.port is None else f":{parts.port}"
    return parts._replace(netloc=f"{host}{port}").geturl()


def is_blocked(address: str, page: str) -> bool:
    """Whether browsers do not let a page of that address send to it, as the page came over HTTPS."""
    to = urlsplit(address)
    return urlsplit(page).scheme == "https" and to.scheme == "http" and to.hostname not in LOCAL
