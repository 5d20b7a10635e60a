"""Hard negatives of identifiers, digests and numbers: random words that are no secrets."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random

from .values import HOSTS, PEOPLE, SERVICES, WORDS, chars, encoded, fill, host, uuid

Negative = Callable[[Random], str]
NEGATIVES: dict[str, Negative] = {}
KEYED: list[tuple[str, Callable[[Random], str]]] = []


def negative(make: Negative) -> Negative:
    """Enter a maker under its own name."""
    NEGATIVES[make.__name__.strip("_").replace("_", "-")] = make
    return make


_PROVIDER_IDS = (
    (
        "chatcmpl-{a29} resp_{h48} msg_{a24} call_{a24} toolu_01{a22} run_{a24} thread_{a24} asst_{a24} file-{a24} "
        "batch_{h32} req_{h32} fc_{h48} rs_{h48} vs_{h32} ftjob-{a24} gen-{d10}-{a20} msg_01{a22} cmpl-{a29} "
        "srvtoolu_01{a22} ws_{h50} cus_{a14} pi_3{a23} evt_1{a23} in_1{a23} sub_1{a23} prod_{a14} price_1{a23} "
        "i-{h17} vpc-{h17} ami-{h17} subnet-{h17} sg-{h17} arn:aws:iam::{d12}:role/reader U{u10} C{u10} T{u8} "
        "acct_1{a16} org-{a24} proj_{a24} user-{a24} snap-{h17} eni-{h17} cs_test_{a40} ch_3{a23} AC{h32} SM{h32}"
    )
    .replace("arn:aws:iam::{d12}:role/reader", "arn:aws:iam::{d12}:role/reader-{l6}")
    .split()
)


@negative
def _provider_id(rng: Random) -> str:
    one = fill(rng, rng.choice(_PROVIDER_IDS))
    return rng.choice(
        [
            f'{{"id": "{one}", "object": "response"}}',
            f"id={one}",
            f"see {one} for details",
            f"'tool_call_id': '{one}'",
        ]
    )


@negative
def _uuids(rng: Random) -> str:
    name = rng.choice(
        "request_id trace_id document_id session_id conversation_id tenant key_id idempotency_key".split()
    )
    one = uuid(rng)
    return rng.choice(
        [f"{name}={one}", f'"{name}": "{one}"', f"https://{host(rng)}/items/{one}", f"run {one} finished"]
    )


@negative
def _digests(rng: Random) -> str:
    kind, size = rng.choice([("md5", 32), ("sha1", 40), ("sha256", 64), ("sha512", 128)])
    one = chars(rng, "h", size)
    return rng.choice(
        [
            f"{kind}:{one}",
            f"{one}  dist/app.tar.gz",
            f"{kind}sum = {one}",
            f'"digest": "{kind}:{one}"',
            f'etag: "{one}"',
        ]
    )


@negative
def _commits(rng: Random) -> str:
    one = chars(rng, "h", rng.choice([7, 12, 40]))
    return rng.choice(
        [
            f"commit {one}",
            f"fixed in {one}",
            f"git checkout {one}",
            f"https://{host(rng)}/a/b/commit/{one}",
            f"GIT_SHA={one}",
            f"HEAD is now at {one} Fix typo",
        ]
    )


@negative
def _traces(rng: Random) -> str:
    trace, span = chars(rng, "h", 32), chars(rng, "h", 16)
    return rng.choice(
        [
            f"traceparent: 00-{trace}-{span}-01",
            f'{{"trace_id": "{trace}", "span_id": "{span}"}}',
            f"X-B3-TraceId: {trace}",
            f"trace={trace} span={span}",
            f"x-amzn-trace-id: Root=1-{trace[:8]}-{trace[8:]}",
        ]
    )


@negative
def _embedding(rng: Random) -> str:
    numbers = ", ".join(f"{rng.uniform(-1, 1):.8f}" for _ in range(rng.randint(8, 40)))
    return f'{{"object": "embedding", "embedding": [{numbers}]}}'


@negative
def _embedding_base64(rng: Random) -> str:
    return f'{{"object": "embedding", "index": 0, "embedding": "{encoded(rng, 400)}"}}'


@negative
def _media(rng: Random) -> str:
    kind = rng.choice(["image/png", "image/jpeg", "audio/wav", "application/pdf", "font/woff2"])
    return f"data:{kind};base64,{encoded(rng, rng.randint(200, 900))}"


@negative
def _media_json(rng: Random) -> str:
    head = rng.choice(["iVBORw0KGgo", "/9j/4AAQSkZJRg", "R0lGODlh", "JVBERi0xLjcK", "UklGR"])
    return f'{{"type": "image", "source": {{"type": "base64", "media_type": "image/png", "data": "{head}{encoded(rng, 300)}"}}}}'


@negative
def _usage(rng: Random) -> str:
    one, two = rng.randint(10, 90000), rng.randint(10, 9000)
    return rng.choice(
        [
            f'"usage": {{"prompt_tokens": {one}, "completion_tokens": {two}, "total_tokens": {one + two}}}',
            f"max_tokens={one}",
            f"input_tokens: {one}, output_tokens: {two}",
            f'"max_completion_tokens": {one}',
            f"cached_tokens={one} reasoning_tokens={two}",
            f"tokens per second: {two}",
            f"token_count = {one}",
            f'{{"logprobs": [{{"token": "Hello", "bytes": [72, 101], "logprob": -0.{one}}}]}}',
            f"num_tokens_from_messages -> {one}",
            f"token limit: {one}",
            f"eos_token_id: {two}, pad_token: <|endoftext|>",
        ]
    )


@negative
def _versions(rng: Random) -> str:
    number = f"{rng.randint(0, 9)}.{rng.randint(0, 40)}.{rng.randint(0, 99)}"
    return rng.choice(
        [
            f"openai=={number}",
            f"python-{number}-cp312-manylinux_2_17_x86_64.whl",
            f"v{number}-rc.1+build.{chars(rng, 'h', 7)}",
            f"node:{number}-alpine3.20@sha256:{chars(rng, 'h', 64)}",
            f"^{number}",
        ]
    )


@negative
def _lockfile(rng: Random) -> str:
    name = rng.choice(WORDS)
    return rng.choice(
        [
            f'"integrity": "sha512-{encoded(rng, 64)}"',
            f'{name}@^1.2.3:\n  version "1.2.9"\n  resolved "https://{host(rng)}/{name}-1.2.9.tgz#{chars(rng, "h", 40)}"\n  integrity sha512-{encoded(rng, 64)}',
            f"{name}==1.0 \\\n    --hash=sha256:{chars(rng, 'h', 64)}",
            f"github.com/{name}/{name} v1.4.2 h1:{encoded(rng, 32)}",
            f'[[package]]\nname = "{name}"\nchecksum = "{chars(rng, "h", 64)}"',
            f'<script src="/a.js" integrity="sha384-{encoded(rng, 48)}" crossorigin="anonymous"></script>',
        ]
    )


@negative
def _public_key(rng: Random) -> str:
    body = encoded(rng, 280)
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return rng.choice(
        [
            f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----",
            f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----",
            f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{encoded(rng, 32)[:43]} {rng.choice(PEOPLE)}@laptop",
            f"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ{encoded(rng, 240)} deploy",
            f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n{lines}\n-----END PGP PUBLIC KEY BLOCK-----",
            f'public_key = "{encoded(rng, 32)}"',
            f"SHA256:{encoded(rng, 32)[:43]} (ED25519)",
            f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}\n-----END CERTIFICATE REQUEST-----",
        ]
    )


@negative
def _minified(rng: Random) -> str:
    names = [chars(rng, "a", rng.randint(1, 3)) for _ in range(12)]
    body = "".join(
        f"function {a}({b},{c}){{return {b}[{c}]||{a}.{b}&&!{c}?{b}:{c}}}"
        for a, b, c in zip(names, names[1:], names[2:], strict=False)
    )
    return (
        f'!function(e,t){{"object"==typeof exports?module.exports=t():e.key=t()}}(this,function(){{{body}}});'
    )


@negative
def _numbers(rng: Random) -> str:
    return rng.choice(
        [
            f"ISBN 978-{rng.randint(0, 9)}-{chars(rng, 'd', 4)}-{chars(rng, 'd', 4)}-{rng.randint(0, 9)}",
            f"call +49 30 {chars(rng, 'd', 8)} after nine",
            f"order 2026-{chars(rng, 'd', 7)} shipped",
            f"tracking number 1Z{chars(rng, 'u', 16)}",
            f"IBAN printed on page {rng.randint(1, 90)}",
            f"invoice INV-{chars(rng, 'd', 8)} over {rng.randint(9, 9999)}.50 EUR",
            f"epoch {rng.randint(10**12, 2 * 10**12)}",
            f"DOI 10.{chars(rng, 'd', 4)}/{chars(rng, 'l', 12)}",
            f"MAC {':'.join(chars(rng, 'h', 2) for _ in range(6))}",
            f"ipv6 2001:db8:{chars(rng, 'h', 4)}:{chars(rng, 'h', 4)}::{chars(rng, 'h', 4)}",
            f"lat 52.{chars(rng, 'd', 8)}, lon 13.{chars(rng, 'd', 8)}",
            f"VIN {chars(rng, 'u', 17)}",
            f"0x{chars(rng, 'h', 16)}",
            f"wallet 0x{chars(rng, 'h', 40)}",
        ]
    )


@negative
def _links(rng: Random) -> str:
    one = chars(rng, "a", 11)
    return rng.choice(
        [
            f"https://youtu.be/{one}?t=42",
            f"https://docs.google.com/document/d/1{chars(rng, 'w', 43)}/edit",
            f"https://{host(rng)}/blog/how-to-rotate-api-keys-safely-in-2026",
            f"https://{host(rng)}/assets/index-{chars(rng, 'w', 8)}.js",
            f"https://{host(rng)}/search?q=token+bucket&page=2&sort=key",
            f"https://{host(rng)}/a?utm_source=x&utm_campaign={chars(rng, 'l', 12)}",
            f"https://{host(rng)}/docs/authentication#bearer-tokens-and-api-keys",
            f"postgres://{host(rng)}:5432/orders",
            f"redis://{host(rng)}:6379/0",
            f"https://{host(rng)}/wiki/Pass_(mountain)?action=edit&section=3",
            f"git@{host(rng)}:team/{one}.git",
            f"s3://{rng.choice(WORDS)}-data/2026/{uuid(rng)}.parquet",
            f"https://{host(rng)}/img/{chars(rng, 'h', 40)}.webp?w=640&h=480",
            f"mailto:{rng.choice(PEOPLE)}@example.org",
        ]
    )


@negative
def _paths(rng: Random) -> str:
    return rng.choice(
        [
            f"/var/lib/docker/overlay2/{chars(rng, 'h', 64)}/merged",
            f"/tmp/tmp{chars(rng, 'l', 8)}/secrets_test.py",
            f"~/.ssh/id_ed25519.pub and /etc/ssl/private/{rng.choice(HOSTS)}.key",
            f"node_modules/.pnpm/{rng.choice(WORDS)}@1.2.3_{chars(rng, 'h', 32)}/index.js",
            f"/nix/store/{chars(rng, 'l', 32)}-python3-3.12.4/bin/python",
            f'File "/app/auth/tokens.py", line {rng.randint(1, 900)}, in refresh_token',
            f"pod/{rng.choice(SERVICES)}-{chars(rng, 'l', 10)}-{chars(rng, 'l', 5)}",
            f"sha256-{rng.choice(WORDS)}/{chars(rng, 'h', 64)}.bin",
        ]
    )


@negative
def _cursor(rng: Random) -> str:
    cursor = base64.b64encode(f'{{"after": {rng.randint(1, 10**6)}}}'.encode()).decode()
    return rng.choice(
        [
            f'"next_cursor": "{cursor}"',
            f"?cursor={cursor}",
            f'"has_more": true, "last_id": "msg_{chars(rng, "a", 24)}"',
        ]
    )


@negative
def _fingerprint(rng: Random) -> str:
    return rng.choice(
        [
            f'"system_fingerprint": "fp_{chars(rng, "h", 10)}"',
            f'"encrypted_content": null, "status": "completed", "id": "rs_{chars(rng, "h", 48)}"',
            f"x-request-id: req_{chars(rng, 'h', 32)}",
            f"cf-ray: {chars(rng, 'h', 16)}-FRA",
            f'ETag: W/"{chars(rng, "w", 27)}"',
        ]
    )
