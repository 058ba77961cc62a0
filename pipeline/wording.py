"""Numbers as people read them."""

import math

_MOST_DIGITS = 15
_WRITERS = [f"{{:,.{digits}g}}".format for digits in range(_MOST_DIGITS + 1)]


def whole(number: float) -> str:
    """With thousands separated: 1,234,567."""
    return f"{number:,.0f}"


def brief(number: float) -> str:
    """Four significant digits at most: 0.125, 70.3, 12,345."""
    return whole(number) if abs(number) >= 1000 else f"{number:.3g}" if abs(number) < 10 else f"{number:.4g}"


def duration(seconds: float) -> str:
    """The two largest units: 3 d 4 h, 12 min, 850 ms."""
    if 0 < abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms"
    sign, left, parts = "-" if seconds < 0 else "", abs(seconds), []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count:.0f} {name}")
    return sign + (" ".join(parts[:2]) or "0 s")


def told_apart(one: float, other: float) -> tuple[str, str]:
    """Both with as many digits as show their difference to three: 0 and 14.3, 1,000,005 and 1,000,000."""
    difference, digits = abs(one - other), 6
    if 0 < difference < math.inf:
        size = math.floor(math.log10(max(abs(one), abs(other))))
        digits = min(size + max(3 - math.floor(math.log10(difference)), 1), _MOST_DIGITS)
    write = _WRITERS[digits]
    return write(one + 0.0), write(other + 0.0)  # 0 has a sign, which a sum takes away


def size(count: int) -> str:
    """Bytes in the largest unit of which there is one: 17 B, 742 KiB, 1.25 GiB."""
    power = min(max(count.bit_length() - 1, 0) // 10, 4)
    return f"{brief(count / 1024**power)} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"


def counted(count: int, noun: str) -> str:
    """With its noun: 1 point, 2,000 points."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def said(kind: str, note: str) -> str:
    """What people have said of a time: maintenance: new bearing."""
    words = "maintenance" if kind == "maintenance" else "what was labelled a false alarm"
    return f"{words}: {note}" if note else words


def listed(words: list[str]) -> str:
    """With commas and an 'and': a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 11th, 121st."""
    ending = "th" if 10 <= number % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
