"""The cases of cases.txt, by Python's `websockets`.

    client.py cases ECHO OBLIGING NAME...   reports each case in a line
    client.py broadcast URL                 is one of three in a room, and tells what it heard
"""

import asyncio
import hashlib
import random
import re
import socket
import struct
import sys
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

CASE_LIMIT = 20
TEXT = "wsloop: é € 😀"
REASON = "r" * 123
# On either side of where a length is encoded in another way, and of zlib's window.
SIZES = [0, 1, 5, 63, 64, 100, 125, 126, 500, 1023, 4096, 32768, 65535, 65536, 100_000, 1 << 17]


@asynccontextmanager
async def connected(url, **options):
    """Opens a connection, and closes it if all went well meanwhile."""
    client = await open_client(url, **options)
    try:
        yield client
        await client.close(1000)
        # The server answers a Close with its status code alone.
        assert_ended(client, 1000, "")
    finally:
        client.transport.abort()


def open_client(url, **options):
    options.setdefault("max_size", 4 << 20)
    return connect(url, proxy=None, **options)


async def ask(client, text):
    await client.send(text)
    return await client.recv()


def assert_equal(actual, expected):
    assert actual == expected, f"{actual!r:.200} is not {expected!r:.200}"


def assert_ended(client, code, reason):
    assert_equal((client.close_code, client.close_reason), (code, reason))


def words(length):
    """Text that compresses well, but not to nothing."""
    chosen = random.Random(length)
    rows = (f'{{"id":{chosen.randrange(1000)},"name":"Ada é"}},' for _ in range(length // 20 + 1))
    return "".join(rows).encode()[:length].decode(errors="replace").replace("\ufffd", "x")


def noise(length):
    """Bytes that do not compress."""
    return random.Random(length).randbytes(length)


def traffic(client):
    """How many bytes went over the connection, there and back, as Linux counts them (`tcp_info`)."""
    tcp = client.transport.get_extra_info("socket")
    info = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
    return struct.unpack_from("QQ", info, 120)


async def cost(client, message):
    """Has a message echoed, and returns how many bytes it took, there and back."""
    before = traffic(client)
    assert_equal(await ask(client, message), message)
    return [after - before for before, after in zip(before, traffic(client))]


class Cases:
    """A method for each case, with `_` for `-` in its name."""

    def __init__(self, echo, obliging):
        self.echo = echo
        self.obliging = obliging

    async def echoes(self, *messages):
        async with connected(self.echo) as client:
            for message in messages:
                assert_equal(await ask(client, message), message)

    async def text(self):
        await self.echoes("a", TEXT)

    async def binary(self):
        await self.echoes(bytes(range(256)))

    async def empty(self):
        await self.echoes("", b"", "end")

    async def length(self, length):
        await self.echoes("a" * length, b"\xa5" * length)

    async def length_125(self):
        await self.length(125)

    async def length_126(self):
        await self.length(126)

    async def length_65535(self):
        await self.length(65535)

    async def length_65536(self):
        await self.length(65536)

    async def length_1048576(self):
        await self.length(1 << 20)

    async def fragments_text(self):
        async with connected(self.echo) as client:
            data = TEXT.encode()
            await client.send((data[i : i + 1] for i in range(len(data))), text=True)
            assert_equal(await client.recv(), TEXT)

    async def fragments_binary(self):
        data = (b"0123456789abc" * 81000)[: 1 << 20]
        async with connected(self.echo) as client:
            await client.send(data[at : at + 4096] for at in range(0, len(data), 4096))
            assert_equal(await client.recv(), data)

    async def fragments_with_ping(self):
        async with connected(self.echo) as client:

            async def fragments():
                yield "one "
                # Goes on only when the Pong is there.
                await (await client.ping(b"now"))
                yield "two"

            await client.send(fragments())
            assert_equal(await client.recv(), "one two")

    async def in_order(self):
        async with connected(self.echo) as client:
            await self.come_back_in_order(client, "message ")

    async def come_back_in_order(self, client, text):
        async def send():
            for n in range(10_000):
                await client.send(f"{text}{n}")

        sending = asyncio.create_task(send())
        for n in range(10_000):
            assert_equal(await client.recv(), f"{text}{n}")
        await sending

    async def ping(self):
        async with connected(self.echo) as client:
            # The library waits for a Pong with the payload of its Ping.
            for payload in [b"", b"are you there?", b"p" * 125]:
                await (await client.ping(payload))

    async def ping_from_server(self):
        async with connected(self.obliging) as client:
            assert_equal(await ask(client, "ping are you there?"), "pong are you there?")

    async def pong_unsolicited(self):
        async with connected(self.obliging) as client:
            await client.pong(b"here I am")
            assert_equal(await client.recv(), "pong here I am")

    async def deflate_declined(self):
        async with connected(self.obliging, compression="deflate") as client:
            offered = await ask(client, "field Sec-WebSocket-Extensions")
            assert offered.startswith("permessage-deflate"), offered
            assert_equal(client.response.headers.get("Sec-WebSocket-Extensions"), None)
            assert_equal(client.protocol.extensions, [])
            assert_equal(await ask(client, "ping " + "z" * 100), "pong " + "z" * 100)

    async def deflate_shared(self):
        await self.deflates("shared/15", "server 15 alone, client 15 alone")

    async def deflate_dedicated(self):
        await self.deflates("dedicated/15", "server 15, client 15")

    async def deflate_window_9(self):
        await self.deflates("dedicated/9", "server 9, client 9")

    async def deflate_server_alone(self):
        asked = {"server_no_context_takeover": True, "client_max_window_bits": 10}
        await self.deflates("dedicated/15", "server 15 alone, client 10", **asked)

    async def deflate_client_alone(self):
        asked = {"client_no_context_takeover": True, "server_max_window_bits": 10}
        await self.deflates("dedicated/15", "server 10, client 15 alone", **asked)

    def deflating(self, how, **asked):
        asked.setdefault("client_max_window_bits", True)
        offer = ClientPerMessageDeflateFactory(**asked)
        return connected(f"{self.obliging}/deflate/{how}", compression=None, extensions=[offer])

    async def deflates(self, how, agreed, **asked):
        async with self.deflating(how, **asked) as client:
            assert_equal(await ask(client, "agreed"), agreed)
            there_and_back = [0, 0]
            for text in map(words, SIZES):
                for message in [text, text.encode()]:
                    took = await cost(client, message)
                    there_and_back = [sum(pair) for pair in zip(there_and_back, took)]
            assert max(there_and_back) < sum(SIZES), f"{there_and_back} for 2 times {sum(SIZES)}"
            # What does not compress does so the second time, within reach of the first.
            for size in [200, 1000]:
                await cost(client, noise(size))
                for end, took in zip(["client", "server"], await cost(client, noise(size))):
                    bits, alone = re.search(f"{end} ([0-9]+)( alone)?", agreed).groups()
                    in_reach = not alone and size < 2 ** int(bits) - 262
                    assert in_reach == (took < 100), f"{took} of {size} bytes by the {end}"
            await cost(client, noise(100_000))

    async def deflate_fragments(self):
        data = words(100_000).encode()
        async with self.deflating("dedicated/15") as client:

            async def fragments():
                for at in range(0, len(data), 1000):
                    yield data[at : at + 1000]
                    await (await client.ping())

            for _ in range(2):
                await client.send(fragments())
                assert_equal(await client.recv(), data)
            assert max(traffic(client)) < len(data)

    async def deflate_in_order(self):
        async with self.deflating("dedicated/15") as client:
            await self.come_back_in_order(client, "a message that compresses " * 5)

    async def deflate_too_big(self):
        factory = ClientPerMessageDeflateFactory()
        url = f"{self.obliging}/deflate/shared/15"
        client = await open_client(url, compression=None, extensions=[factory])
        await client.send("x" * ((2 << 20) + 1))
        await client.wait_closed()
        assert_equal(client.close_code, 1009)

    async def closes(self, code, reason):
        """The client closes."""
        client = await open_client(self.obliging)
        await client.close(code, reason)
        assert_ended(client, code, "")
        await self.assert_last_close(f"client clean {code} {reason}")

    async def close_1000(self):
        await self.closes(1000, "done")

    async def close_1001(self):
        await self.closes(1001, "leaving: é")

    async def close_3000(self):
        await self.closes(3000, "")

    async def close_4999(self):
        await self.closes(4999, REASON)

    async def close_none(self):
        client = await open_client(self.obliging)
        # `close` always sends a status code; what is below it need not.
        client.protocol.send_close()
        client.send_data()
        await client.wait_closed()
        assert_ended(client, 1005, "")
        await self.assert_last_close("client clean 1005 ")

    async def is_closed(self, code, reason):
        """The server closes."""
        client = await open_client(self.obliging)
        await client.send(f"close {code} {reason}")
        await self.assert_closed(client, code, reason)
        await self.assert_last_close(f"server clean {code} ")

    async def closed_1000(self):
        await self.is_closed(1000, "done")

    async def closed_1001(self):
        await self.is_closed(1001, "leaving: é")

    async def closed_3000(self):
        await self.is_closed(3000, "")

    async def closed_4999(self):
        await self.is_closed(4999, REASON)

    async def too_big(self):
        client = await open_client(self.obliging)
        try:
            await client.send("x" * ((2 << 20) + 1))
        except ConnectionClosed:
            pass  # The server need not have taken all of it.
        await client.wait_closed()
        assert_equal(client.close_code, 1009)

    async def subprotocol_chosen(self):
        offers = ["chat.v1", "other", "chat.v2"]
        async with connected(self.obliging, subprotocols=offers) as client:
            assert_equal(client.subprotocol, "chat.v2")

    async def subprotocol_none(self):
        async with connected(self.obliging, subprotocols=["other"]) as client:
            assert_equal(client.subprotocol, None)

    async def fields(self):
        fields = {"X-Interop": "by websockets", "Cookie": "session=31d4d96e; theme=dark"}
        async with connected(self.obliging, additional_headers=fields) as client:
            assert_equal(await ask(client, "field X-Interop"), fields["X-Interop"])
            assert_equal(await ask(client, "field Cookie"), fields["Cookie"])

    async def origin_refused(self):
        await self.assert_refused(self.echo, 403, origin="http://elsewhere.example")

    async def origin_same(self):
        async with connected(self.echo, origin=self.echo.replace("ws", "http", 1)) as client:
            assert_equal(await ask(client, "hi"), "hi")

    async def not_found(self):
        await self.assert_refused(f"{self.obliging}/nowhere", 404)

    async def assert_refused(self, url, status, **options):
        try:
            async with connected(url, **options):
                raise AssertionError(f"{url} let us in")
        except InvalidStatus as refusal:
            assert_equal(refusal.response.status_code, status)

    async def assert_closed(self, client, code, reason):
        try:
            message = await client.recv()
        except ConnectionClosed as closed:
            assert_equal((closed.rcvd.code, closed.rcvd.reason), (code, reason))
        else:
            raise AssertionError(f"got {message!r:.200} in place of a Close")

    async def assert_last_close(self, beginning):
        """Asks the server how the last connection was closed."""
        async with connected(self.obliging) as client:
            how = await ask(client, "last close")
            assert how.startswith(beginning), f"{how!r} does not begin with {beginning!r}"


async def run_cases(echo, obliging, names):
    cases = Cases(echo, obliging)
    failed = False
    for name in names:
        try:
            async with asyncio.timeout(CASE_LIMIT):
                await getattr(cases, name.replace("-", "_"))()
            print(f"ok {name}", flush=True)
        except Exception as error:  # Whatever it is, the next case is run.
            print(f"FAILED {name}: {error!r:.300}", flush=True)
            failed = True
    return failed


async def broadcast(url):
    """Joins the room, waits until all three are in it, says 100 things, and hears 300."""
    present, said, heard = set(), hashlib.sha256(), 0
    async with connected(url) as client:
        await client.send("here python")
        while heard < 300:
            message = await client.recv()
            line = message if isinstance(message, str) else message.decode()
            verb, who = line.split(" ")[:2]
            if verb == "say":
                said.update(f"{line}\n".encode())
                heard += 1
            elif who not in present:
                present.add(who)
                # Whoever has just come has not heard that we are here.
                await client.send("here python")
                if len(present) == 3:
                    await say(client)
        print(f"heard {heard} {said.hexdigest()}")


async def say(client):
    for n in range(100):
        line = f"say python {n}"
        await client.send(line.encode() if n % 2 else line)


def main():
    match sys.argv[1:]:
        case ["cases", echo, obliging, *names]:
            sys.exit(asyncio.run(run_cases(echo, obliging, names)))
        case ["broadcast", url]:
            asyncio.run(broadcast(url))
        case _:
            sys.exit(__doc__)


main()
