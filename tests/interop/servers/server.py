"""What README.md says, by Python's `websockets`: within TLS, if a certificate and a key are named."""

import asyncio
import base64
import socket
import ssl
import struct
import sys

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

CREDENTIALS = "Basic " + base64.b64encode(b"wsloop:open sesame").decode()
MAX_SIZE = 4 << 20


def traffic(connection):
    """How many bytes were received and sent, as Linux counts them (`tcp_info`)."""
    tcp = connection.transport.get_extra_info("socket")
    info = tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)
    sent, received = struct.unpack_from("QQ", info, 120)
    return received, sent


class Server:
    def __init__(self, scheme):
        self.scheme = scheme
        self.last_close = ""
        self.open = set()
        self.closed = asyncio.Condition()

    def answer(self, connection, request):
        """Answers what is not to be a WebSocket connection."""
        match request.path.split("/")[1:]:
            case ["" | "echo" | "counted"] | ["fragments", _]:
                return None
            case ["private"]:
                if request.headers.get("Authorization") == CREDENTIALS:
                    return None
                response = connection.respond(401, "who are you?\n")
                response.headers["WWW-Authenticate"] = 'Basic realm="interop"'
            case ["redirect"]:
                response = connection.respond(302, "")
                response.headers["Location"] = "/echo"
            case ["redirect", "away"]:
                response = connection.respond(302, "")
                port = request.headers["Host"].rpartition(":")[2]
                response.headers["Location"] = f"{self.scheme}://localhost:{port}/"
            case ["refuse", status]:
                response = connection.respond(int(status), f"refused with {status}\n")
            case _:
                response = connection.respond(404, "there is nothing here\n")
        return response

    def mark(self, connection, request, response):
        response.headers["X-Interop"] = "websockets"
        response.headers["Set-Cookie"] = "session=31d4d96e"

    async def talk(self, connection):
        self.open.add(connection)
        try:
            async for message in connection:
                match connection.request.path.split("/")[1:]:
                    case ["echo"]:
                        await connection.send(message)
                    case ["counted"] if message == "bytes":
                        await connection.send("websockets {} {}".format(*traffic(connection)))
                    case ["counted"]:
                        await connection.send(message)
                    case ["fragments", size]:
                        await self.send_fragments(connection, message, int(size))
                    case _:
                        await self.oblige(connection, message)
        except ConnectionClosed:
            pass
        finally:
            await connection.wait_closed()
            await self.note_end(connection)

    async def send_fragments(self, connection, message, size):
        data = message.encode() if isinstance(message, str) else message

        async def fragments():
            yield data[:size]
            for at in range(size, len(data), size):
                await connection.ping()
                yield data[at : at + size]

        await connection.send(fragments(), text=isinstance(message, str))

    async def oblige(self, connection, message):
        verb, _, rest = message.partition(" ")
        match verb:
            case "field":
                await connection.send(", ".join(connection.request.headers.get_all(rest)))
            case "ping":
                await (await connection.ping(rest))
                await connection.send(f"pong {rest}")
            case "close":
                code, _, reason = rest.partition(" ")
                await connection.close(int(code), reason)
            case "last":
                async with self.closed:
                    await self.closed.wait_for(lambda: self.open == {connection})
                await connection.send(self.last_close)
            case _:
                await connection.close(1003, "no such request")

    async def note_end(self, connection):
        protocol = connection.protocol
        if protocol.close_rcvd is not None:
            by = "client" if protocol.close_rcvd_then_sent else "server"
            close = protocol.close_rcvd if by == "client" else protocol.close_sent
            self.last_close = f"{by} {close.code} {close.reason}"
        self.open.discard(connection)
        async with self.closed:
            self.closed.notify_all()


async def main():
    within = None
    if len(sys.argv) > 1:
        within = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        within.load_cert_chain(*sys.argv[1:])
        within.set_alpn_protocols(["http/1.1"])
    server = Server("wss" if within else "ws")
    async with serve(
        server.talk,
        "127.0.0.1",
        0,
        ssl=within,
        max_size=MAX_SIZE,
        process_request=server.answer,
        process_response=server.mark,
        select_subprotocol=lambda _, offered: next(
            (name for name in ["chat.v2", "chat.v1"] if name in offered), None
        ),
    ) as listening:
        host, port = listening.sockets[0].getsockname()
        print(f"listening on {server.scheme}://{host}:{port}", flush=True)
        await listening.serve_forever()


asyncio.run(main())
