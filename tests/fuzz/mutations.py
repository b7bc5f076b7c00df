"""Change values and files as people, other programs and broken disks do."""

import copy
import json
import struct

import yaml

NUMBERS = [
    *(0, 1, -1, 2, 2**31, 2**63, 2**64, 10**400, -(10**30), 0.5, -0.0, 1e308, -1e308, 5e-324),
    *(float("nan"), float("inf"), float("-inf"), True, False),
]
TEXTS = [
    *("", " ", "\x00", "\ud800", "a\nb", "\x1b[31m", "é\u202e𝕏", "x" * 5000, "nan", "1", "1e5"),
    *("../..", "~", "/", ".", "-", "--help", "demo", "2001-01-01", "{{ 1 }}", "[1]", "null"),
]
WRONG = [None, [], {}, [None], [[]], [{}], {"": 1}, {"a": {"b": [1]}}, [1, 1], [-1], ["a"], [1.5]]


def nested(depth, inner=1):
    """Return lists in each other."""
    for _ in range(depth):
        inner = [inner]
    return inner


def odd_value(rng):
    """Return a number, a text or a structure that few programs expect."""
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(NUMBERS)
    if kind < 0.75:
        return rng.choice(TEXTS)
    return copy.deepcopy(rng.choice([*WRONG, nested(30), nested(300)]))


def places(value, above=()):
    """Yield the path of every value inside a structure."""
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, inner in items:
        yield (*above, key)
        yield from places(inner, (*above, key))


def at(value, path):
    """Return the value at a path."""
    for key in path:
        value = value[key]
    return value


def mutate(value, rng):
    """Return a copy with one to three changes."""
    value = copy.deepcopy(value)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        # The first level is where files say what they are, so it is chosen more often.
        known = list(places(value))
        shallow = [path for path in known if len(path) == 1]
        path = rng.choice((shallow if rng.random() < 0.4 else known) or [()])
        if not path:
            return odd_value(rng)
        rng.choice(CHANGES)(at(value, path[:-1]), path[-1], value, known, rng)
    return value


def _replace(holder, key, whole, known, rng):
    holder[key] = odd_value(rng)


def _drop(holder, key, whole, known, rng):
    del holder[key]


def _shift(holder, key, whole, known, rng):
    """Put a number a little beside itself, or change the type but not the meaning."""
    old = holder[key]
    if type(old) in (int, float) and abs(old) < 1e300:
        holder[key] = rng.choice([old + 1, old - 1, -old, str(old), old + 0.5, old * 2, [old]])
    elif isinstance(old, str):
        holder[key] = rng.choice([old.upper(), old + "x", old[:-1], [old], {old: 1}, old * 40])
    elif isinstance(old, list):
        holder[key] = rng.choice([old * 2, old[:-1], old[::-1], [old], dict(enumerate(old))])
    elif isinstance(old, dict):
        holder[key] = rng.choice([[old], list(old), list(old.values()), {**old, "extra": old}])
    else:
        holder[key] = rng.choice([not old, "true", 0, 1, [old]])


def _swap(holder, key, whole, known, rng):
    """Put one value in the place of another."""
    holder[key] = copy.deepcopy(at(whole, rng.choice(known)))


def _rename(holder, key, whole, known, rng):
    if isinstance(holder, dict):
        text = rng.choice([str(key).upper(), f"{key}s", "", "\x00", "\ud800", "x" * 300, "é"])
        holder[text] = holder.pop(key)
    else:
        holder.insert(0, holder.pop(key))


def _add(holder, key, whole, known, rng):
    if isinstance(holder, dict):
        holder[rng.choice(["extra", "schema", "error", "name", "seed", ""])] = odd_value(rng)
    else:
        holder.append(odd_value(rng))


CHANGES = [_replace, _replace, _replace, _shift, _shift, _drop, _swap, _rename, _add]


def corrupt(data, rng):
    """Return bytes with damage, as a torn write or a wrong encoding leaves it."""
    return rng.choice(DAMAGE)(bytearray(data), rng)


def _truncate(data, rng):
    return data[: rng.randrange(len(data) + 1)]


def _flip(data, rng):
    for _ in range(rng.choice([1, 1, 8])):
        if data:
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _insert(data, rng):
    start = rng.randrange(len(data) + 1)
    odd = [b"\x00", b"\xff\xfe", b'"', b"{", b"]", b"\n", b"\r", b"\\ud800", b"9" * 400, b"NaN"]
    return data[:start] + rng.choice(odd) + data[start:]


def _cut(data, rng):
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(1, 40) :]


def _repeat_line(data, rng):
    """Give a key twice, or a row."""
    lines = data.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"\n".join(lines)


def _swap_lines(data, rng):
    lines = data.split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _whole(data, rng):
    """Put something else in place of everything."""
    text = data.decode(errors="replace")
    return rng.choice(
        [
            *(b"", b"null", b"[]", b"{}", b"1", b'"a"', b"\x00", b"[" * 100_000, b"\xff" * 100),
            *(b"\xef\xbb\xbf" + data, text.encode("utf-16"), data.replace(b"\n", b"\r\n")),
            *(data + b"\x00", data + data, b"\n" + data, data[::-1], b"{" * 20 + data, b"9" * 5000),
        ]
    )


DAMAGE = [_truncate, _flip, _flip, _insert, _cut, _repeat_line, _swap_lines, _whole]


def as_json(value):
    """Write JSON, also with NaN and halves of characters."""
    return json.dumps(value, indent=1).encode()


def as_yaml(value):
    """Write YAML, as JSON if it holds what only that can say."""
    try:
        return yaml.safe_dump(value, sort_keys=False).encode()
    except (ValueError, yaml.YAMLError):
        return as_json(value)


def json_file(data, rng):
    """Mutate a JSON file by its values or by its bytes."""
    if rng.random() < 0.75:
        return as_json(mutate(json.loads(data), rng))
    return corrupt(data, rng)


def yaml_file(data, rng):
    """Mutate a YAML file likewise."""
    if rng.random() < 0.75:
        return as_yaml(mutate(yaml.safe_load(data), rng))
    return corrupt(data, rng)


def json_lines(data, rng):
    """Mutate one or more lines of JSON."""
    if rng.random() < 0.35:
        return corrupt(data, rng)
    rows = [json.loads(line) for line in data.splitlines()]
    if rng.random() < 0.5:
        rows = mutate(rows, rng)
    else:
        index = rng.randrange(len(rows))
        rows[index] = mutate(rows[index], rng)
    rows = rows if isinstance(rows, list) else [rows]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def text_file(data, rng):
    """Mutate a file of text or of comma-separated values."""
    data = corrupt(data, rng)
    return corrupt(data, rng) if rng.random() < 0.3 else data


def header(data, rng):
    """Mutate the header of a safetensors file, or its length, or cut its tensors."""
    (length,) = struct.unpack("<Q", data[:8])
    head, rest = data[8 : 8 + length], data[8 + length :]
    kind = rng.random()
    if kind < 0.6:
        head = json.dumps(mutate(json.loads(head), rng)).encode()
    elif kind < 0.8:
        head = bytes(corrupt(head, rng))
    elif kind < 0.9:
        rest = rest[: rng.randrange(len(rest))] if rng.random() < 0.5 else rest + b"\x00" * 8
    else:
        length = rng.choice([0, 1, 8, length - 1, length + 1, 2**32, 2**63, 2**64 - 1])
        return struct.pack("<Q", length) + head + rest
    return struct.pack("<Q", len(head)) + head + rest
