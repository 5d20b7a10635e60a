"""Made-up material: random characters by a small template language, words, passwords, identifiers.

Every value is made when the corpus is made. A template holds ``{a24}`` (24 letters and digits) and the like;
``{a24-32}`` is a length of 24 to 32. The letters of the alphabets stand in ``ALPHABETS``.
"""

from __future__ import annotations

import base64
import re
import string
from random import Random

_ALNUM = string.ascii_letters + string.digits
ALPHABETS = {
    "a": _ALNUM,
    "w": _ALNUM + "_-",
    "b": _ALNUM + "+/",
    "h": "0123456789abcdef",
    "H": "0123456789ABCDEF",
    "l": string.ascii_lowercase + string.digits,
    "u": string.ascii_uppercase + string.digits,
    "d": string.digits,
    "s": string.ascii_uppercase + "234567",
    "c": "qpzry9x8gf2tvdw0s3jn54khce6mua7l".upper(),
}
_SLOT = re.compile(r"\{([a-zA-Z])(\d+)?(?:-(\d+))?\}")

WORDS = (
    "amber anchor atlas autumn badge bamboo beacon birch border branch bridge bronze cactus candle canyon "
    "carbon castle cedar cinder cobalt copper coral cotton crater crystal daisy delta desert dragon eagle "
    "ember engine falcon feather fennel forest fossil galaxy garden garnet ginger glacier granite harbor "
    "hazel helmet hickory indigo island ivory jasmine jungle juniper kernel kettle lagoon lantern lemon "
    "linen lotus magnet maple marble meadow mercury mirror monsoon mosaic nectar nickel nimbus oasis "
    "ocean olive onyx orbit orchid otter panther pebble pepper pilot planet plasma pollen prairie prism "
    "quartz quiver rabbit raven ribbon river rocket saffron salmon sandal sierra silver sparrow spruce "
    "summit sunset tango temple thistle timber topaz tulip tundra umbra valley velvet violet walnut "
    "willow winter yonder zephyr zinc"
).split()

PEOPLE = (
    "ada bela chidi dana emre farah goran hana ines jonas kofi lena mats nadia oleg priya quinn rosa".split()
)
SERVICES = (
    "billing orders search ingest mailer catalog ledger gateway reports crawler scheduler profile".split()
)
HOSTS = "db cache queue api auth files git mail proxy registry vault metrics".split()
ZONES = (
    "example.com example.org internal.example.net svc.cluster.local corp.example staging.example.io".split()
)


def chars(rng: Random, alphabet: str, length: int) -> str:
    """``length`` characters of one of the alphabets."""
    return "".join(rng.choices(ALPHABETS[alphabet], k=length))


def uuid(rng: Random) -> str:
    """A UUID of version 4."""
    digits = chars(rng, "h", 32)
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{rng.choice('89ab')}{digits[17:20]}-{digits[20:]}"


def fill(rng: Random, template: str) -> str:
    """The template with its slots filled; ``{g}`` is a UUID."""

    def slot(found: re.Match[str]) -> str:
        letter, low, high = found.groups()
        if letter == "g":
            return uuid(rng)
        return chars(rng, letter, rng.randint(int(low), int(high or low)))

    return _SLOT.sub(slot, template)


def encoded(rng: Random, size: int, *, url: bool = False) -> str:
    """Base64 of random bytes, with its padding unless it is the URL form."""
    raw = rng.randbytes(size)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=") if url else base64.b64encode(raw).decode()


def host(rng: Random) -> str:
    """A host name."""
    return f"{rng.choice(HOSTS)}{rng.choice(['', '-1', '-02', '.eu'])}.{rng.choice(ZONES)}"


def password(rng: Random) -> str:
    """What a person, a manager or a script would choose; never shorter than eight characters."""
    kind = rng.randrange(6)
    if kind == 0:
        first, second = rng.choice(WORDS).title(), rng.choice(WORDS).title()
        return f"{first}{rng.choice('!@#-_.')}{second}{rng.randint(10, 9999)}"
    if kind == 1:
        return "-".join(rng.choice(WORDS) for _ in range(4))
    if kind == 2:
        plain = rng.choice(WORDS).translate(str.maketrans("aeos", "4305"))
        return f"{plain}{rng.choice(WORDS).title()}{rng.choice('!#*+')}{rng.randint(1, 99):02}"
    if kind == 3:
        return chars(rng, "a", rng.randint(10, 24))
    marks = "!#%*+-.=?^_~" if kind == 4 else "@$!"
    return "".join(rng.choices(_ALNUM * 2 + marks * 3, k=rng.randint(12, 22))) + rng.choice(
        string.ascii_letters
    )
