"""Connections to model servers, shared by every client of one run.

The transport is used without httpx's client around it: that one follows redirects, keeps cookies and reads proxies anew for
each request, none of which a model call wants, and it costs more CPU than the transport itself.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class HttpPool:
    """Keeps connections open between calls, any number per host.

    It belongs to the event loop of its first call; a call from another loop opens new connections. HTTP_PROXY, HTTPS_PROXY
    and NO_PROXY hold as they are at the first call to a host; loopback addresses are never asked through a proxy.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transports: dict[str | None, AiohttpTransport] = {}
        self._by_host: dict[str, AiohttpTransport] = {}

    async def send(self, request: httpx.Request) -> httpx.Response:
        """Send `request` and return the response once its head is there; the caller closes it.

        Closing it before the body was read closes the connection, which tells the server to stop working.

        Raises:
            httpx.TransportError, aiohttp.ClientError, OSError: The exchange failed.
        """
        return await self._transport(request.url).handle_async_request(request)

    def _transport(self, url: httpx.URL) -> AiohttpTransport:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop, self._transports, self._by_host = loop, {}, {}
        origin = f"{url.scheme}://{url.host}"
        if origin not in self._by_host:
            proxy = _proxy_for(origin)
            if proxy not in self._transports:
                self._transports[proxy] = _open(proxy)
            self._by_host[origin] = self._transports[proxy]
        return self._by_host[origin]

    async def aclose(self) -> None:
        """Close all connections. Calling it twice is allowed."""
        transports, self._transports, self._by_host = list(self._transports.values()), {}, {}
        if asyncio.get_running_loop() is self._loop:
            for transport in transports:
                await transport.aclose()


def _open(proxy: str | None) -> AiohttpTransport:
    transport = AiohttpTransport(proxy=httpx.Proxy(proxy) if proxy else None)

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=30, ssl=transport.ssl_context)
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    transport.client = session
    return transport


def _proxy_for(origin: str) -> str | None:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if host in _LOOPBACK or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)
