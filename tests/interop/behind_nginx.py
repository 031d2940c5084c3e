"""The cases of cases-nginx.txt, by Python's `websockets`.

    behind_nginx.py NGINX OBLIGING NAME...   reports each case in a line

NGINX is where nginx passes on to the `echo` example, and to others if asked by name: nginx.conf.in
says which. OBLIGING is where it passes on to server.rs.
"""

import asyncio
import sys
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def assert_equal(actual, expected):
    assert actual == expected, f"{actual!r:.200} is not {expected!r:.200}"


class Cases:
    """A method for each case, with `_` for `-` in its name."""

    def __init__(self, nginx, obliging):
        self.nginx = nginx
        self.obliging = obliging
        self.port = int(nginx.rpartition(":")[2])

    def at(self, server, **options):
        """Connects to nginx, whatever host and port the URL names. Sends no Pings."""
        options |= {"host": "127.0.0.1", "port": self.port, "proxy": None}
        return connect(f"ws://{server}", ping_interval=None, **options)

    def to_obliging(self, **options):
        return connect(self.obliging, proxy=None, **options)

    async def assert_welcome(self, server, origin):
        async with self.at(server, origin=origin):
            pass

    async def assert_refused(self, server, origin):
        await self.expect_403(self.at(server, origin=origin))

    async def expect_403(self, connecting):
        try:
            async with connecting:
                raise AssertionError("it was let in")
        except InvalidStatus as refusal:
            assert_equal(refusal.response.status_code, 403)

    async def page(self):
        def get():
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(self.nginx.replace("ws:", "http:"), timeout=10) as response:
                return response.headers.get_content_type(), response.read()

        kind, page = await asyncio.to_thread(get)
        assert_equal(kind, "text/html")
        assert b"WebSocket" in page, page

    async def origin_passed(self):
        await self.assert_welcome("public.example", "https://public.example")
        await self.assert_welcome("public.example:8443", "https://public.example:8443")

    async def origin_foreign(self):
        await self.assert_refused("public.example", "https://elsewhere.example")
        await self.assert_refused("public.example", "https://public.example:8443")
        await self.assert_refused("public.example", "null")

    async def origin_without_port(self):
        await self.assert_welcome("host.example", "https://host.example")
        await self.assert_refused("host.example:8443", "https://host.example:8443")

    async def origin_unsaid(self):
        await self.assert_refused("unsaid.example", "https://unsaid.example")

    async def origin_forwarded(self):
        await self.assert_welcome("forwarded.example/trusting", "https://forwarded.example")
        await self.assert_refused("forwarded.example/trusting", "https://elsewhere.example")

    async def origin_forwarded_wary(self):
        await self.assert_refused("forwarded.example/wary", "https://forwarded.example")

    async def client_addr(self):
        await self.assert_client_addr({})

    async def client_addr_forged(self):
        await self.assert_client_addr({"X-Forwarded-For": "192.0.2.1"})
        await self.assert_client_addr({"X-Forwarded-For": "192.0.2.1, 127.0.0.1"})

    async def assert_client_addr(self, fields):
        # All of 127.0.0.0/8 is this machine, and of it the server trusts only 127.0.0.1.
        source = ("127.0.0.7", 0)
        async with self.to_obliging(local_addr=source, additional_headers=fields) as client:
            await client.send("client addr")
            assert_equal(await client.recv(), "127.0.0.7")

    async def host_forged(self):
        fields = {"X-Forwarded-Host": "elsewhere.example"}
        origin = "https://elsewhere.example"
        await self.expect_403(self.to_obliging(origin=origin, additional_headers=fields))

    async def keepalive(self):
        await self.assert_lasts("public.example", 65, "still there?")

    async def keepalive_short(self):
        await self.assert_lasts("impatient.example/pinging", 6, "client addr")

    async def assert_lasts(self, server, seconds, question):
        """Says nothing for a while, and then something, and is answered."""
        async with self.at(server) as client:
            try:
                async with asyncio.timeout(seconds):
                    message = await client.recv()
            except TimeoutError:
                pass
            else:
                raise AssertionError(f"got {message!r:.200} unasked")
            await client.send(question)
            await client.recv()

    async def keepalive_none(self):
        async with self.at("impatient.example/silent") as client:
            try:
                async with asyncio.timeout(30):
                    message = await client.recv()
            except ConnectionClosed as closed:
                assert_equal(closed.rcvd, None)  # nginx knows no Close.
            else:
                raise AssertionError(f"got {message!r:.200} in place of the end")


async def run_case(cases, name):
    try:
        async with asyncio.timeout(80):
            await getattr(cases, name.replace("-", "_"))()
        print(f"ok {name}", flush=True)
        return True
    except Exception as error:  # Whatever it is, the other cases are run.
        print(f"FAILED {name}: {error!r:.300}", flush=True)
        return False


async def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    nginx, obliging, *names = sys.argv[1:]
    cases = Cases(nginx, obliging)
    # All at once: most of their time is waiting.
    well = await asyncio.gather(*(run_case(cases, name) for name in names))
    sys.exit(not all(well))


asyncio.run(main())
