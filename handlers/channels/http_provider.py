"""Posts messages to a provider over HTTP and turns whatever happens into a verdict. Follows no redirect, repeats nothing."""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import httpx

from handlers.channels.contract import SendResult, Verdict
from streams.runtime.errors import UsageError

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.ProxyError)
_OUR_FAULT: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
"""Refusals of our account, not of the message: they would meet every other message as well."""

_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_LONGEST_RETRY_AFTER: Final = 7  # digits


class PrivateTargetError(OSError):
    """The provider's name leads to an address that is not public."""


class HttpProvider:
    """One provider. Each attempt has a connection of its own, so that none breaks on one that had gone stale."""

    def __init__(self, setting: str, url: str | None, *, timeout_seconds: float, private: bool, drops_repetitions: bool) -> None:
        """Post to `url`, the value of `setting`; raises UsageError when that is no address to send messages to.

        `private` allows addresses that are not public, and no TLS. `drops_repetitions`: the provider honours Idempotency-Key, so
        that an error of its own may be tried again; else nobody knows what it did with the message.
        """
        if not url:
            message = f"{setting} is not set: name the provider's address ({setting}=https://...), or do not serve this channel"
            raise UsageError(message)
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in ({"http", "https"} if private else {"https"}) or parts.username:
            schemes = "an http or https" if private else "an https"
            message = f"{setting}={url!r} is not {schemes} address without credentials (RAPPORT_HTTP_PRIVATE_TARGETS allows http)"
            raise UsageError(message)
        self._url = httpx.URL(url)
        self._private = private
        self._drops_repetitions = drops_repetitions
        self._timeout = timeout_seconds
        # Proxies of the environment could carry messages elsewhere; who wants one names it as the provider.
        self._client = httpx.AsyncClient(
            timeout=timeout_seconds, follow_redirects=False, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @property
    def host(self) -> str:
        """The provider's host, in lower case."""
        return self._url.host.strip("[]").replace(":", "-").lower()

    async def post(self, body: bytes, headers: Mapping[str, str]) -> SendResult:
        """Post `body` as JSON and say what became of it; never raises for what a provider or network can do."""
        try:
            async with asyncio.timeout(self._timeout):
                request = await self._request(body, headers)
        except (OSError, TimeoutError) as error:
            return SendResult(Verdict.UNAVAILABLE, f"{type(error).__name__}: {self.host} was not found or is not public")
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._client.send(request, stream=True)
        except _NOT_SENT as error:
            return SendResult(Verdict.UNAVAILABLE, f"{type(error).__name__} before the message")
        except (httpx.HTTPError, TimeoutError) as error:
            return SendResult(Verdict.UNCERTAIN, f"{type(error).__name__} after the message")
        await response.aclose()  # the status says all; what a stranger writes beside it is not kept
        return self._judge(response)

    async def close(self) -> None:
        """Give back the connections."""
        await self._client.aclose()

    async def _request(self, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        url, more = self._url, {**headers, "Content-Type": "application/json"}
        if self._private:
            return self._client.build_request("POST", url, content=body, headers=more)
        # Connect to the very address that was looked at: asked again, the name might lead elsewhere.
        address = await _public_address(url.host, url.port or 443)
        more["Host"] = url.netloc.decode()
        extensions = {"sni_hostname": url.host}
        return self._client.build_request("POST", url.copy_with(host=address), content=body, headers=more, extensions=extensions)

    def _judge(self, response: httpx.Response) -> SendResult:
        status = response.status_code
        detail = f"{status} {response.reason_phrase}".strip()[:100]
        after = _retry_after(response.headers.get("retry-after", ""), said_at=response.headers.get("date", ""))
        if response.is_success:
            return SendResult(Verdict.ACCEPTED, detail)
        if response.is_server_error:
            known = self._drops_repetitions or status == HTTPStatus.SERVICE_UNAVAILABLE
            return SendResult(Verdict.UNAVAILABLE if known else Verdict.UNCERTAIN, detail, after)
        if status in _LATER or status in _OUR_FAULT:
            return SendResult(Verdict.UNAVAILABLE, detail, after)
        if response.is_client_error:
            return SendResult(Verdict.BOUNCED if status == HTTPStatus.GONE else Verdict.REFUSED, detail)
        return SendResult(Verdict.UNAVAILABLE, f"{detail}: redirects are not followed, correct the address")


def is_public(address: str) -> bool:
    """Say whether `address` is one of the public internet; what an IPv6 address wraps is looked at too."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is not None:
            found = inner
    return found.is_global and not found.is_multicast


async def _public_address(host: str, port: int) -> str:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(map(is_public, addresses)):
        raise PrivateTargetError(host)
    return addresses[0]


def _retry_after(value: str, *, said_at: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110, 10.2.3); 0 for none.

    A date is held against the one of the answer itself, as clocks differ; without that it says nothing.
    """
    if value.isascii() and value.isdigit() and len(value) <= _LONGEST_RETRY_AFTER:
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(said_at)).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return 0.0
