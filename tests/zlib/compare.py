"""Compares how we compress and inflate (filter.rs) with how Python's zlib does, which is zlib's C code.

    compare.py FILTER [STREAMS [SEED]]

A stream is the payload of a compressed message, with its own mixture of what zlib can do: level,
strategy, window bits, memory, and flushes of all kinds within a message and at its end. Some
payloads are then damaged; what is made of them has to be the same as well, be it a message or an
error. The other way round zlib inflates what we compress, with a window no larger than agreed.

zlib by itself does not say where a payload ends that was cut short, nor goes on after a final block.
`Inflater` says what is to come of that, in terms of zlib.
"""

import random
import struct
import subprocess
import sys
import zlib

BATCH = 2000
TAIL = b"\x00\x00\xff\xff"
FINAL_EMPTY_BLOCK = b"\x01\x00\x00\xff\xff"
WINDOW = 1 << 15
STRATEGIES = [
    zlib.Z_DEFAULT_STRATEGY, zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED,
]  # fmt: skip
FLUSHES = [zlib.Z_NO_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_BLOCK]


class Corrupt(Exception):
    pass


class Inflater:
    """What is to come of payloads, RFC 7692 §7.2.2."""

    def __init__(self, takeover):
        self.takeover = takeover
        self.window = b""
        self.inflate = zlib.decompressobj(-15)

    def message(self, payload):
        if not self.takeover:
            self.__init__(takeover=False)
        if not payload:
            # §7.2.3.6: that of an empty message is a byte.
            raise Corrupt
        try:
            return self.inflated(payload)
        except zlib.error as error:
            raise Corrupt from error

    def inflated(self, payload):
        message, rest = b"", payload
        while rest:
            new = self.inflate.decompress(rest)
            message += new
            self.window = (self.window + new)[-WINDOW:]
            if not self.inflate.eof:
                self.expect_whole(payload)
                break
            # §7.2.3.4: after a final block others follow, which may refer to what came before.
            rest = self.inflate.unused_data
            self.inflate = zlib.decompressobj(-15, zdict=self.window)
        return message

    def expect_whole(self, payload):
        """Adds the tail, if it is not there, and checks that it is behind the end of a block."""
        if payload[-4:] != TAIL and self.inflate.decompress(TAIL):
            raise Corrupt
        if self.inflate.eof:
            raise Corrupt
        end = self.inflate.copy()
        if end.decompress(FINAL_EMPTY_BLOCK) or not end.eof or end.unused_data:
            raise Corrupt


class Deflater:
    """A compressor that does all that zlib can do, at random."""

    def __init__(self, chance):
        self.chance = chance
        self.takeover = chance.random() < 0.6
        self.bits = chance.randint(9, 15)
        self.window = b""
        self.begin()

    def begin(self):
        chance, window = self.chance, self.window[-(1 << self.bits) :]
        settings = [chance.randint(0, 9), zlib.DEFLATED, -self.bits, chance.randint(1, 9)]
        settings.append(chance.choice(STRATEGIES))
        self.deflate = zlib.compressobj(*settings, **({"zdict": window} if window else {}))

    def payload(self, message):
        chance = self.chance
        if not self.takeover:
            self.window = b""
            self.begin()
        payload, rest = b"", message
        for _ in range(chance.choice([0, 0, 1, 3])):
            at = chance.randint(0, len(rest))
            payload += self.deflate.compress(rest[:at])
            rest = rest[at:]
            flush = chance.choice(FLUSHES)
            if flush != zlib.Z_NO_FLUSH:
                payload += self.deflate.flush(flush)
        payload += self.deflate.compress(rest)
        self.window = (self.window + message)[-WINDOW:]
        return self.end(payload)

    def end(self, payload):
        ending = self.chance.random()
        if ending < 0.15:
            payload += self.deflate.flush(zlib.Z_FINISH)
            self.begin()
            return payload + self.chance.choice([b"", b"\x00"])
        payload += self.deflate.flush(zlib.Z_FULL_FLUSH if ending < 0.3 else zlib.Z_SYNC_FLUSH)
        # After a flush, another one without input says nothing.
        payload = payload or b"\x00" + TAIL
        assert payload.endswith(TAIL)
        return payload if ending > 0.9 else payload[:-4]


def message(chance):
    """A message of one nature or the other."""
    length = chance.choice([0, 1, 10, 100, 100, 1000, 1000, 5000, 70_000 if chance.random() < 0.2 else 300])
    length = chance.randint(0, length)
    match chance.randrange(6):
        case 0:
            return chance.randbytes(length)
        case 1:
            return bytes(chance.choices(b"abcdefgh", k=length))
        case 2:
            return bytes([chance.randrange(256)]) * length
        case 3:
            # The same again, at a distance that zlib can just reach, or just not.
            distance = chance.choice([1, 2, 3, 250, 258, 259, 506, 762, 1786, 16122, 32506, 32768])
            unit = chance.randbytes(distance)
            return (unit * (length // distance + 1))[:length]
        case 4:
            rows = (f'{{"id":{chance.randrange(9999)},"name":"Ada"}},' for _ in range(length // 20))
            return "".join(rows).encode()
        case _:
            parts = [chance.randbytes(50) for _ in range(8)]
            return b"".join(chance.choices(parts, k=length // 50))


def damaged(payload, chance):
    bytes_ = bytearray(payload)
    match chance.randrange(5):
        case 0:
            del bytes_[chance.randint(0, len(bytes_)) :]
        case 1:
            at = chance.randint(0, len(bytes_))
            bytes_[at:at] = chance.randbytes(chance.randint(1, 4))
        case 2:
            at = chance.randint(0, len(bytes_))
            del bytes_[at : at + chance.randint(1, 4)]
        case 3:
            return chance.randbytes(chance.randint(0, 40))
        case _:
            for _ in range(chance.randint(1, 3) if bytes_ else 0):
                # Where blocks begin is where most can be broken.
                at = min(chance.choice([chance.randrange(8), chance.randrange(len(bytes_))]), len(bytes_) - 1)
                bytes_[at] ^= 1 << chance.randrange(8)
    return bytes(bytes_)


class Inflating:
    """Payloads of zlib's, for us to inflate."""

    def __init__(self, chance):
        deflater = Deflater(chance)
        self.takeover, self.cut = deflater.takeover, chance.choice([1, 2, 7, 1000, 1 << 20])
        self.payloads, self.expected, self.damaged = [], [], 0
        inflater = Inflater(deflater.takeover)
        try:
            for _ in range(chance.randint(1, 6)):
                original = message(chance)
                payload = deflater.payload(original)
                if chance.random() < 0.15:
                    payload, original = damaged(payload, chance), None
                    self.damaged += 1
                self.payloads.append(payload)
                inflated = inflater.message(payload)
                if not self.damaged:
                    assert inflated == original, "zlib does not know itself"
                self.expected.append(inflated)
        except Corrupt:
            assert self.damaged, "zlib does not know itself"
            self.expected.append(None)

    def encode(self):
        head = struct.pack("<cBII", b"I", self.takeover, self.cut, len(self.payloads))
        return head + b"".join(map(with_length, self.payloads))

    def judge(self, answers):
        assert answers == self.expected, f"{self.describe()}: {answers!r:.300} not {self.expected!r:.300}"

    def describe(self):
        payloads = ", ".join(payload.hex() for payload in self.payloads)
        return f"takeover {self.takeover}, cut {self.cut}, payloads {payloads:.2000}"


class Deflating:
    """Messages, for zlib to inflate what we make of them."""

    damaged = 0

    def __init__(self, chance):
        self.takeover = chance.random() < 0.6
        self.settings = [chance.randint(9, 15), chance.randint(1, 9), chance.randint(1, 9)]
        self.payloads = [message(chance) for _ in range(chance.randint(1, 6))]
        self.expected = self.payloads

    def encode(self):
        head = struct.pack("<cBBBBI", b"D", self.takeover, *self.settings, len(self.payloads))
        return head + b"".join(map(with_length, self.payloads))

    def judge(self, answers):
        bits = self.settings[0]
        inflate = zlib.decompressobj(-bits)
        for original, payload in zip(self.payloads, answers):
            if payload is None:
                assert not self.takeover, "what keeps a context compresses everything"
                continue
            if not self.takeover:
                assert len(payload) < len(original)
                inflate = zlib.decompressobj(-bits)
            inflated = inflate.decompress(payload + TAIL)
            assert inflated == original, f"{self.settings}: {original!r:.300} becomes {inflated!r:.300}"
            assert not inflate.eof and not inflate.unused_data


def with_length(bytes_):
    return struct.pack("<I", len(bytes_)) + bytes_


def answers(output, count):
    """Reads so many answers from an output, which is at `output[0]` of `output[1]`."""
    read = []
    for _ in range(count):
        at, whole = output
        if whole[at] == 0:
            output[0] += 1
            read.append(None)
        else:
            (length,) = struct.unpack_from("<I", whole, at + 1)
            read.append(whole[at + 5 : at + 5 + length])
            output[0] += 5 + length
    return read


def run_batch(filter_, chance):
    """Returns how many streams there were, how many of them damaged, and how many corrupt."""
    sessions, streams = [], 0
    while streams < BATCH:
        sessions.append(chance.choice([Inflating, Inflating, Deflating])(chance))
        streams += len(sessions[-1].expected)
    encoded = b"".join(session.encode() for session in sessions)
    output = [0, subprocess.run([filter_], input=encoded, capture_output=True, check=True).stdout]
    for session in sessions:
        session.judge(answers(output, len(session.expected)))
    assert output[0] == len(output[1]), "there is more than was expected"
    corrupt = sum(session.expected[-1] is None for session in sessions)
    return streams, sum(session.damaged for session in sessions), corrupt


def main(filter_, streams="12000", seed="1"):
    chance = random.Random(int(seed))
    totals = (0, 0, 0)
    while totals[0] < int(streams):
        totals = [sum(pair) for pair in zip(totals, run_batch(filter_, chance))]
    all_, damaged_, corrupt = totals
    print(f"{all_} streams alike, {damaged_} of them damaged, {corrupt} corrupt; seed {seed}")


if __name__ == "__main__":
    main(*sys.argv[1:])
