"""GGUF files byte by byte: what no writer here would write."""

import struct


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def number(kind, value):
    """A metadata value: its type and its bytes."""
    codes = {"B": 0, "b": 1, "H": 2, "h": 3, "I": 4, "i": 5, "f": 6, "?": 7, "Q": 10, "q": 11, "d": 12}
    return codes[kind], struct.pack("<" + kind, value)


def numbers(kind, values):
    return 9, struct.pack("<IQ", number(kind, 0)[0], len(values)) + b"".join(number(kind, v)[1] for v in values)


def texts(values):
    return 9, struct.pack("<IQ", 8, len(values)) + b"".join(map(text, values))


def tensor(lengths, kind, data):
    return lengths, kind, data


def gguf(metadata, tensors, version=3, alignment=32, offsets=None, counts=None):
    """A file of metadata {key: (type, bytes)} and tensors {name: (lengths, type, bytes)}."""
    num_tensors, num_values = counts or (len(tensors), len(metadata))
    head = b"GGUF" + struct.pack("<IQQ", version, num_tensors, num_values)
    for key, (kind, value) in metadata.items():
        head += text(key) + struct.pack("<I", kind) + value
    data = b""
    for name, (lengths, kind, values) in tensors.items():
        offset = len(data) if offsets is None else offsets[name]
        head += text(name) + struct.pack("<I", len(lengths)) + b"".join(struct.pack("<Q", n) for n in lengths)
        head += struct.pack("<IQ", kind, offset)
        data += values + bytes(-len(values) % alignment)
    return head + bytes(-len(head) % alignment) + data
